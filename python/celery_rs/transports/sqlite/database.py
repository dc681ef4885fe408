"""One connection to the file: transactions, the locks around them, checkpoints, forks.

A process has one connection, and its threads take turns. A writer passes the gate (`locks.Gate`) for the length of a
transaction; while it waits for another writer it stands outside, so that a checkpoint finds its moment. Nothing waits
without a deadline.

After a fork the child opens a connection of its own. The inherited one is kept, unused, for as long as the child
lives: closing it would take the parent's locks away.
"""

import logging
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol

from celery_rs.errors import CeleryError, ImproperlyConfigured, OperationalError
from celery_rs.transports.sqlite import errors, files, log, schema
from celery_rs.transports.sqlite.locks import Gate, holder_of
from celery_rs.transports.sqlite.wake import Bell, Doors, Ring

logger = logging.getLogger("celery.transport.sqlite")

LOCK_TIMEOUT_S = 10.0
_FIRST_WAIT_S = 0.00005
_LONGEST_WAIT_S = 0.004
_LOOK_AT_FILE_S = 1.0

_DATA_VERSION = "PRAGMA data_version"

OLDEST_SQLITE = (3, 35)  # RETURNING

WORKER_LOG_PAGES = 2_000
PRODUCER_LOG_PAGES = 20_000
_LARGEST_LOG = PRODUCER_LOG_PAGES * 4096
_LOOK_AT_LOG_S = 0.05
_SHUT_TRIES_S = 0.02
_PUBLISHES_PER_LOOK = 256

Sync = Literal["normal", "full"]
Row = tuple[Any, ...]


class Keeper(Protocol):
    """Who keeps files open that a forked child must let go of."""

    def forget(self) -> None:
        """Close this process's copies; unlock nothing, remove nothing."""
        ...


class Database:
    """Any thread. Opens on first use; `close` when the last of its users has gone."""

    def __init__(
        self,
        path: Path,
        *,
        sync: Sync = "normal",
        lock_timeout: float = LOCK_TIMEOUT_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.path = path
        self.clock = clock
        self._sync = sync
        self._lock_timeout = lock_timeout
        self._users = 0
        # Files that consumers and subscriptions keep open; a forked child must let go of its copies.
        self._kept: weakref.WeakSet[Keeper] = weakref.WeakSet()
        self._forget()
        _databases.add(self)

    def _forget(self) -> None:
        self._pid = os.getpid()
        # Reentrant, because a signal handler that raises (a soft time limit) may tear a transaction anywhere: what it
        # leaves is cleared away as soon as possible, at the latest by the thread's next transaction.
        self._mutex = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._gate: Gate | None = None
        self._doors: Doors | None = None
        self._identity: tuple[int, int] | None = None
        self._looked_at = 0.0
        self._looked_at_log = 0.0
        self._publishes = 0
        # Queues of messages that were inserted while a consumer was idle: a trigger of the connection's tells.
        self._waited_for: set[str] = set()

    # Users

    @classmethod
    def shared(cls, path: Path, *, sync: Sync = "normal", lock_timeout: float = LOCK_TIMEOUT_S) -> "Database":
        """The one database of this process for `path`: broker and result store take turns on one connection."""
        path = Path(os.path.realpath(path))
        with _opening:
            database = _shared.get(path)
            if database is None:
                database = _shared[path] = cls(path, sync=sync, lock_timeout=lock_timeout)
            database._users += 1
            return database

    def keep(self, keeper: "Keeper") -> None:
        """Have `keeper.forget` called in forked children."""
        self._kept.add(keeper)

    def forgo(self, keeper: "Keeper") -> None:
        """Undo `keep`."""
        self._kept.discard(keeper)

    def is_same_file(self, other: "Database") -> bool:
        return self is other or (_identity(self.path) or self.path) == (_identity(other.path) or other.path)

    def after_fork(self) -> None:
        """Leave everything inherited to the parent, open but unused."""
        if self._connection is not None:
            _inherited.append(self._connection)
        for shared in (self._gate, self._doors, *self._kept):
            if shared is not None:
                shared.forget()
        self._kept.clear()
        self._forget()

    def close(self) -> None:
        """One user fewer."""
        with _opening:
            self._users -= 1
            last = self._users <= 0
        if last:
            with self._mutex:
                self._disconnect()
                if self._doors is not None:
                    self._doors.forget()
                    self._doors = None

    # Transactions

    def transaction(self, timeout: float | None = None) -> "Transaction":
        """`with database.transaction() as tx:` is one write transaction; waits for its turn.

        Up to the database's own `lock_timeout` seconds, or `timeout` where that is less.
        """
        return Transaction(self, self._lock_timeout if timeout is None else min(timeout, self._lock_timeout))

    def read(self, statement: str, parameters: Sequence[object] | Mapping[str, object] = ()) -> list[Row]:
        """One SELECT on its own: sees what is committed, waits for no writer."""
        if os.getpid() != self._pid:
            self.after_fork()
        deadline = time.monotonic() + self._lock_timeout
        with self._mutex:
            connection = self._connected(deadline)
            while True:
                try:
                    return connection.execute(statement, parameters).fetchall()
                except sqlite3.Error as error:
                    # Only while another process recovers the log after a crash.
                    if not errors.is_busy(error) or time.monotonic() >= deadline:
                        raise self.failed(error) from error
                    time.sleep(_LONGEST_WAIT_S)

    def version(self) -> int:
        """Changes whenever another connection has committed."""
        ((version,),) = self.read(_DATA_VERSION)
        return int(version)

    def version_in(self, tx: "Transaction") -> int:
        """The version that `tx` sees."""
        ((version,),) = tx.execute(_DATA_VERSION).fetchall()
        return int(version)

    def insert(self, statement: str, parameters: Sequence[object], timeout: float) -> bool:
        """One message as a transaction of its own; tells whether any consumer waits, for whatever queue."""
        self.begin(min(timeout, self._lock_timeout), statement, parameters)
        try:
            waited_for = bool(self._waited_for)
            if waited_for:
                self._waited_for.clear()
            return waited_for
        finally:
            self.end()

    def begin(
        self, timeout: float, statement: str = "BEGIN IMMEDIATE", parameters: Sequence[object] = ()
    ) -> sqlite3.Connection:
        """For `Transaction`: returns with the turn, the gate and the write lock taken.

        With another `statement`, that one has been committed, and only the turn and the gate are still taken.
        """
        if os.getpid() != self._pid:
            self.after_fork()
        waited = 0.0
        if not self._mutex.acquire(blocking=False):
            started = time.monotonic()
            if not self._mutex.acquire(timeout=max(timeout, 0.0)):
                raise self._locked(timeout)
            waited = time.monotonic() - started
        try:
            return self._begin(timeout, waited, statement, parameters)
        except BaseException:
            self.break_off()
            raise

    def _begin(self, timeout: float, waited: float, statement: str, parameters: Sequence[object]) -> sqlite3.Connection:
        if self._connection is not None and self._connection.in_transaction:
            self._connection.execute("ROLLBACK")  # torn
        # A deadline costs a clock reading, which the usual case does without.
        deadline = 0.0
        wait = _FIRST_WAIT_S
        while True:
            connection = self._connection
            if connection is None or self._gate is None or self._is_time_to_look():
                connection = self._connected(deadline or time.monotonic() + timeout - waited)
            assert self._gate is not None
            if self._gate.enter():
                try:
                    connection.execute(statement, parameters)
                except sqlite3.Error as error:
                    self._gate.leave()
                    if not errors.is_busy(error):
                        raise self.failed(error) from error
                else:
                    return connection
            now = time.monotonic()
            deadline = deadline or now + timeout - waited
            if now >= deadline:
                raise self._locked(timeout)
            time.sleep(min(wait, deadline - now))
            wait = min(wait * 2, _LONGEST_WAIT_S)

    def break_off(self) -> None:
        """Undo `begin`, however far it has come."""
        if self._connection is not None and self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        self.end()

    def end(self) -> None:
        """For `Transaction`: gives the gate and the turn back."""
        if self._gate is not None:
            self._gate.leave()
        try:
            while True:  # also what a torn transaction has left
                self._mutex.release()
        except RuntimeError:
            pass

    def failed(self, error: sqlite3.Error) -> Exception:
        """What to raise for `error`; a connection that is no good any more is dropped. Within the turn."""
        if errors.spoils_connection(error):
            self._disconnect(keep_gate=True)
        return self._in_its_time(errors.explain(error, self.path))

    def _locked(self, timeout: float) -> Exception:
        pid = holder_of(self.path)
        return errors.locked(self.path, timeout, pid, ours=pid == os.getpid())

    # Waking

    def doors(self) -> Doors:
        if os.getpid() != self._pid:
            self.after_fork()
        if self._doors is None:
            with self._mutex:
                self._connected(time.monotonic() + self._lock_timeout)
                if self._doors is None:
                    self._doors = Doors(files.directory_beside(self.path))
        return self._doors

    def bell(self, name: str) -> Bell:
        """A socket to wait at, of a name of our own."""
        return Bell(self.doors(), name)

    def deliver(self, rings: Sequence[Ring]) -> None:
        """Send what a transaction wants sent; where nobody listens, do what is to be done instead."""
        doors = self.doors()
        while rings:
            unheard = [ring for ring in rings if not doors.send(ring)]
            if not unheard:
                return
            with self.transaction() as tx:
                for ring in unheard:
                    ring.instead(tx)
                rings, tx.rings = tx.rings, []

    # Checkpoints

    def relieve(self) -> None:
        """A producer's share of the checkpoints: only when no worker does them. Cheap enough for every publish."""
        self._publishes += 1
        if self._publishes % _PUBLISHES_PER_LOOK == 0:
            self.checkpoint(PRODUCER_LOG_PAGES)

    def checkpoint(self, beyond: int) -> bool:
        """Move the log into the database and start it anew, if it is longer than `beyond` pages.

        Gives up when writers leave no gap, or a reader still needs the log: the next call will find one.
        """
        now = time.monotonic()
        if now - self._looked_at_log < _LOOK_AT_LOG_S:
            return False
        self._looked_at_log = now
        if not log.is_longer_than(beyond, self.path):
            return False
        with self._mutex:
            connection = self._connected(now + self._lock_timeout)
            gate = self._gate
            assert gate is not None
            deadline = time.monotonic() + _SHUT_TRIES_S
            while not gate.shut():
                if time.monotonic() > deadline:
                    return False
                time.sleep(_FIRST_WAIT_S)
            try:
                # Not TRUNCATE: giving the file's blocks back, and asking for them again, costs as much as the copying.
                ((blocked, _, _),) = connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
            except sqlite3.Error as error:
                if not errors.is_busy(error):
                    raise self.failed(error) from error
                return False
            finally:
                gate.leave()
            return not blocked

    # Connecting

    def _is_time_to_look(self) -> bool:
        """Once a second: is the file still the one we have opened? Who writes into a deleted one loses everything."""
        now = time.monotonic()
        if now - self._looked_at < _LOOK_AT_FILE_S:
            return False
        self._looked_at = now
        return True

    def _connected(self, deadline: float) -> sqlite3.Connection:
        if self._connection is not None and _identity(self.path) != self._identity:
            self._disconnect()
        if self._connection is None:
            try:
                self._connect(deadline)
            except ImproperlyConfigured as error:
                raise self._in_its_time(error) from error
        assert self._connection is not None
        return self._connection

    def _in_its_time(self, error: CeleryError) -> CeleryError:
        """A file that was in order once is lost, as a broker is lost; it is a mistake only before its first use."""
        return error if self._identity is None else OperationalError(str(error))

    def _connect(self, deadline: float) -> None:
        if sqlite3.sqlite_version_info < OLDEST_SQLITE:
            wanted = ".".join(map(str, OLDEST_SQLITE))
            raise ImproperlyConfigured(
                f"expected SQLite {wanted} or newer in this Python, got {sqlite3.sqlite_version}; use a newer Python"
            )
        files.check_place(self.path)
        files.create(self.path)
        if self._gate is None:
            self._gate = Gate(self.path)
        try:
            connection = sqlite3.connect(self.path, timeout=0.0, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            raise errors.explain(error, self.path) from error
        wait = _FIRST_WAIT_S
        while True:
            try:
                self._prepare(connection)
                break
            except sqlite3.Error as error:
                if not errors.is_busy(error):
                    connection.close()
                    raise errors.explain(error, self.path) from error
                if time.monotonic() >= deadline:
                    connection.close()
                    raise self._locked(self._lock_timeout) from error
                time.sleep(wait)
                wait = min(wait * 2, _LONGEST_WAIT_S)
            except ImproperlyConfigured:
                connection.close()
                raise
        self._connection = connection
        self._identity = _identity(self.path)
        self._looked_at = time.monotonic()

    def _prepare(self, connection: sqlite3.Connection) -> None:
        # A missing table, too, is seen only by who reads the file first.
        version = schema.version_of(connection, self.path)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {self._sync.upper()}")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute(f"PRAGMA journal_size_limit = {_LARGEST_LOG}")
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute("PRAGMA cache_size = -4000")
        if version != schema.VERSION:
            connection.execute("BEGIN IMMEDIATE")
            try:
                schema.bring_up_to_date(connection, schema.version_of(connection, self.path))
                connection.execute("COMMIT")
            except BaseException:
                connection.execute("ROLLBACK")
                raise
        schema.tell_of_waiting(connection, self._waited_for.add)

    def _disconnect(self, *, keep_gate: bool = False) -> None:
        """SQLite checkpoints when the last connection of all closes, and its own locks tell which is the last."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._gate is not None and not keep_gate:
            self._gate.forget()
            self._gate = None


class Transaction:
    """One write transaction: committed at the end of the `with`, rolled back by an exception.

    `rings` are sent after the commit; `settled` are called after it, before any other thread has its turn.
    """

    __slots__ = ("_database", "_timeout", "execute", "executemany", "rings", "settled")

    execute: Callable[..., sqlite3.Cursor]
    executemany: Callable[..., sqlite3.Cursor]

    def __init__(self, database: Database, timeout: float) -> None:
        self._database = database
        self._timeout = timeout
        self.rings: list[Ring] = []
        self.settled: list[Callable[[], object]] = []

    def __enter__(self) -> "Transaction":
        connection = self._database.begin(self._timeout)
        try:
            self.execute = connection.execute
            self.executemany = connection.executemany
        except BaseException:
            self._database.break_off()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        database = self._database
        try:
            if error is None:
                try:
                    self.execute("COMMIT")
                except sqlite3.Error as failure:
                    self._roll_back()
                    raise database.failed(failure) from failure
                for settle in self.settled:
                    settle()
            else:
                self._roll_back()
                if isinstance(error, sqlite3.Error):
                    raise database.failed(error) from error
        finally:
            database.end()
        if self.rings:
            try:
                database.deliver(self.rings)
            except CeleryError as failure:
                # The transaction stands; who was not rung looks by himself before long.
                logger.warning("somebody could not be woken: %s", failure)

    def _roll_back(self) -> None:
        try:
            self.execute("ROLLBACK")
        except sqlite3.Error:
            pass  # SQLite has rolled back by itself, as it does when the disk is full


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        there = path.stat()
    except OSError:
        return None
    return there.st_dev, there.st_ino


_databases: weakref.WeakSet[Database] = weakref.WeakSet()
_inherited: list[sqlite3.Connection] = []
_shared: weakref.WeakValueDictionary[Path, Database] = weakref.WeakValueDictionary()
_opening = threading.Lock()


def _leave_to_the_parent() -> None:
    global _opening
    _opening = threading.Lock()
    for database in list(_databases):
        database.after_fork()


# At the fork, not at the child's first use: a child that never uses the database would keep the parent's locks alive.
os.register_at_fork(after_in_child=_leave_to_the_parent)
