"""The embedded result store: tables in the same file as the embedded broker, or in one of their own.

Whoever waits lists a socket and looks again in the same transaction, so that no result slips between the look
and the wait; the transaction that makes the result ready rings.
"""

import os
import secrets
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

from celery_rs import states
from celery_rs.backends.base import ChordClaim
from celery_rs.backends.opening import Opening
from celery_rs.errors import BackendError, OperationalError
from celery_rs.transports.sqlite import NET_S, Database, ResultTable, Transaction, Upkeep, open_database
from celery_rs.wire import ChordPart, TaskResult

_COLUMNS = "task_id, state, attempt, meta"
_READY = tuple(sorted(states.READY_STATES))
_IDS_AT_ONCE = 500


class SqliteBackend:
    """See `backends.base.ResultBackend`. Records go `expires` seconds after their last change (None: never).

    Failures go `failure_expires` seconds after theirs (0: never), or as other records do (None).
    """

    place: Literal["parent", "child"] = "parent"

    def __init__(
        self, database: Database, *, expires: float | None = 86_400.0, failure_expires: float | None = None
    ) -> None:
        # `Consumer.finish` of the same file writes into this table, in its own transaction.
        self.database = database
        self.table = ResultTable(expires, failure_expires_s=failure_expires)

    def store(self, records: Sequence[TaskResult]) -> Sequence[bool]:
        with _in_words_of_the_store(), self.database.transaction() as tx:
            return self.table.store(tx, records, self.database.clock())

    def fetch(self, ids: Collection[str]) -> dict[str, TaskResult]:
        found: dict[str, TaskResult] = {}
        listed = list(ids)
        with _in_words_of_the_store():
            for start in range(0, len(listed), _IDS_AT_ONCE):
                some = listed[start : start + _IDS_AT_ONCE]
                marks = ", ".join("?" * len(some))
                rows = self.database.read(
                    f"SELECT {_COLUMNS} FROM results WHERE task_id IN ({marks}) AND (expires IS NULL OR expires > ?)",
                    (*some, self.database.clock()),
                )
                found.update((row[0], TaskResult(*row)) for row in rows)
        return found

    def watch(self, ids: Collection[str], timeout: float | None) -> Iterator[TaskResult]:
        deadline = None if timeout is None else time.monotonic() + timeout
        awaited = set(ids)
        yield from self._take_ready(awaited, awaited)
        if awaited and (deadline is None or time.monotonic() < deadline):
            yield from self._wait(awaited, deadline)

    def _take_ready(self, awaited: set[str], among: Collection[str]) -> list[TaskResult]:
        """Those of `among` that are ready; they are awaited no more."""
        ready = [record for record in self.fetch(among).values() if record.state in states.READY_STATES]
        awaited.difference_update(record.task_id for record in ready)
        return ready

    def _wait(self, awaited: set[str], deadline: float | None) -> Iterator[TaskResult]:
        with _in_words_of_the_store():
            bell = self.database.bell(f"{os.getpid()}-{secrets.token_hex(3)}")
        self.database.keep(bell)
        try:
            with _in_words_of_the_store(), self.database.transaction() as tx:
                tx.executemany("INSERT INTO waiters VALUES (?, ?)", [(id, bell.address) for id in awaited])
            version = self._version()
            among: Collection[str] = awaited
            while True:
                yield from self._take_ready(awaited, among)
                left = NET_S if deadline is None else min(NET_S, deadline - time.monotonic())
                if not awaited or left <= 0:
                    return
                heard = bell.wait(left)
                among = {id for payload in heard for id in payload.decode().split("\n") if id in awaited}
                if not heard and version != (version := self._version()):
                    among = awaited
        finally:
            bell.close()
            self.database.forgo(bell)
            if awaited:
                with _in_words_of_the_store(), self.database.transaction() as tx:
                    tx.execute("DELETE FROM waiters WHERE address = ?", (bell.address,))

    def _version(self) -> int:
        with _in_words_of_the_store():
            return self.database.version()

    def forget(self, ids: Collection[str]) -> None:
        with _in_words_of_the_store(), self.database.transaction() as tx:
            tx.executemany("DELETE FROM results WHERE task_id = ?", [(id,) for id in ids])

    def save_group(self, group: str, meta: bytes) -> None:
        with _in_words_of_the_store(), self.database.transaction() as tx:
            tx.execute(
                'INSERT INTO saved_groups ("group", expires, meta) VALUES (?, ?, ?) '
                'ON CONFLICT ("group") DO UPDATE SET expires = excluded.expires, meta = excluded.meta',
                (group, self.table.expiry(self.database.clock()), meta),
            )

    def fetch_group(self, group: str) -> bytes | None:
        with _in_words_of_the_store():
            rows = self.database.read(
                'SELECT meta FROM saved_groups WHERE "group" = ? AND (expires IS NULL OR expires > ?)',
                (group, self.database.clock()),
            )
        return rows[0][0] if rows else None

    def forget_group(self, group: str) -> None:
        with _in_words_of_the_store(), self.database.transaction() as tx:
            tx.execute('DELETE FROM saved_groups WHERE "group" = ?', (group,))

    def cleanup(self) -> None:
        with _in_words_of_the_store():
            Upkeep(self.database).sweep()

    # Chords

    def open_chord(self, group: str, size: int) -> None:
        with _in_words_of_the_store(), self.database.transaction() as tx:
            tx.execute(
                'INSERT INTO chords ("group", size, expires) VALUES (?, ?, ?) '
                'ON CONFLICT ("group") DO UPDATE SET size = excluded.size, expires = excluded.expires',
                (group, size, self.table.expiry(self.database.clock())),
            )

    def claim_chords(self, parts: Sequence[ChordPart], claim_s: float) -> Sequence[ChordClaim]:
        claims = []
        now = self.database.clock()
        with _in_words_of_the_store(), self.database.transaction() as tx:
            self.table.count(tx, parts, now)
            for group in dict.fromkeys(part.group for part in parts):
                token = secrets.token_hex(8)
                if _claim(tx, group, token, now, now + claim_s):
                    claims.append(SqliteChordClaim(self.database, group, _parts(tx, group), token))
        return claims

    def describe(self) -> str:
        return f"sqlite:///{self.database.path}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.describe()}>"

    def after_fork(self) -> None:
        self.database.after_fork()

    def close(self) -> None:
        self.database.close()


def open_store(opening: Opening) -> SqliteBackend:
    """Raises ImproperlyConfigured for a URL or an option that makes no sense."""
    database = open_database(opening.url, opening.options)
    return SqliteBackend(database, expires=opening.expires, failure_expires=opening.failure_expires)


class SqliteChordClaim:
    """See `backends.base.ChordClaim`. `token` tells this claim from a later one."""

    def __init__(self, database: Database, group: str, parts: Sequence[ChordPart], token: str) -> None:
        self.group = group
        self.parts = parts
        self._database = database
        self._token = token

    def renew(self, claim_s: float) -> bool:
        with _in_words_of_the_store(), self._database.transaction() as tx:
            return bool(
                tx.execute(
                    'UPDATE chords SET claimed_until = ? WHERE "group" = ? AND claim = ?',
                    (self._database.clock() + claim_s, self.group, self._token),
                ).rowcount
            )

    def close(self, published: bool) -> None:
        """The chord itself stays until it expires: a part that is reported again must not reopen it."""
        with _in_words_of_the_store(), self._database.transaction() as tx:
            closed = tx.execute(
                'UPDATE chords SET claim = NULL, claimed_until = 0, published = ? WHERE "group" = ? AND claim = ?',
                (published, self.group, self._token),
            ).rowcount
            if closed and published:
                tx.execute('DELETE FROM chord_parts WHERE "group" = ?', (self.group,))


def _claim(tx: Transaction, group: str, token: str, now: float, until: float) -> bool:
    """Take the chord if it is complete and nobody else's."""
    return bool(
        tx.execute(
            """
            UPDATE chords SET claim = ?, claimed_until = ?
            WHERE "group" = ? AND NOT published AND claimed_until <= ?
              AND size <= (SELECT count(*) FROM chord_parts AS p WHERE p."group" = chords."group")
            """,
            (token, until, group, now),
        ).rowcount
    )


def _parts(tx: Transaction, group: str) -> list[ChordPart]:
    """In the header's order."""
    rows = tx.execute(
        'SELECT "group", task_id, place, state, result FROM chord_parts WHERE "group" = ? '
        "ORDER BY place IS NULL, place, task_id",
        (group,),
    ).fetchall()
    return [ChordPart(*row) for row in rows]


@contextmanager
def _in_words_of_the_store() -> Iterator[None]:
    """The same database is a broker elsewhere; here it is the result store that failed."""
    try:
        yield
    except OperationalError as error:
        raise BackendError(str(error)) from error
