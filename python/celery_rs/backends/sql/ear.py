"""Hear of ready records from a PostgreSQL: one connection that listens per process, which all who wait share.

It has no thread: one of those who wait reads for all of them (`turns.py`). It only shortens pauses between looks, so
that nothing is lost with the connection, or where a notification never comes: Celery's writers send none.
"""

import os
import select
import threading
import time
from collections.abc import Collection
from typing import Any

from celery_rs.backends.sql.alchemy import exc, sa
from celery_rs.backends.sql.database import Database
from celery_rs.backends.sql.notices import channel_of, ids_in
from celery_rs.backends.turns import Turns, Waiter

_AGAIN_S = 5.0
"""Between two tries to connect."""

_inherited: list[Any] = []
"""Connections of a parent: kept, so that nobody closes them here."""


class Wait(Waiter[str]):
    """What one caller waits for. Made by `Ear.join`."""

    def __init__(self, ids: Collection[str]) -> None:
        super().__init__()
        self.ids = frozenset(ids)


class Ear:
    """Any thread."""

    def __init__(self, database: Database, tasks: sa.Table) -> None:
        self._database = database
        self._channel = channel_of(tasks)
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._waits: dict[str, list[Wait]] = {}
        self._turns: Turns[str] = Turns(self._lock)
        self._line: _Line | None = None
        self._connect_at = 0.0

    def join(self, ids: Collection[str]) -> Wait:
        if os.getpid() != self._pid:
            self.after_fork()
        wait = Wait(ids)
        with self._lock:
            for task_id in wait.ids:
                self._waits.setdefault(task_id, []).append(wait)
        return wait

    def leave(self, wait: Wait) -> None:
        with self._lock:
            for task_id in wait.ids:
                self._waits[task_id].remove(wait)
                if not self._waits[task_id]:
                    del self._waits[task_id]

    def hear(self, wait: Wait, seconds: float) -> bool:
        """Pause so long, or until there may be something to see: True then."""
        until = time.monotonic() + seconds
        try:
            while not wait.take():
                left = until - time.monotonic()
                if left <= 0:
                    return False
                if not self._turns.reads(wait):
                    wait.stand(left)
                elif self._line is None and time.monotonic() >= self._connect_at:
                    return self._connect()
                else:
                    self._read(left)
            return True
        finally:
            self._turns.hand_on(wait)

    # The connection; the reader's alone

    def _connect(self) -> bool:
        """Whether it listens from now on: what has come before must be looked for."""
        self._connect_at = time.monotonic() + _AGAIN_S
        try:
            self._line = _Line(self._database.engine, self._channel)
        except _errors(self._database.engine):
            return False
        return True

    def _read(self, seconds: float) -> None:
        line = self._line
        if line is None:
            time.sleep(seconds)
            return
        try:
            payloads = line.wait(seconds)
        except _errors(self._database.engine):
            self._line = None
            line.close()
            return
        with self._lock:
            for task_id in {task_id for payload in payloads for task_id in ids_in(payload)}:
                for wait in self._waits.get(task_id, ()):
                    wait.news.put(task_id)

    def after_fork(self) -> None:
        """In a child: the connection is the parent's, and so are those who wait."""
        if self._line is not None:
            _inherited.append(self._line)
        self._begin()

    def close(self) -> None:
        """Who still waits goes on looking, or connects anew."""
        with self._lock:
            if self._turns.reader is None and self._line is not None:
                self._line.close()
                self._line = None


class _Line:
    """A connection that listens, of one of the drivers that can: it is not of the engine's pool any more."""

    def __init__(self, engine: sa.Engine, channel: str) -> None:
        borrowed = engine.raw_connection()
        connection: Any = borrowed.driver_connection
        borrowed.detach()
        quoted = channel.replace('"', '""')
        self._connection = connection
        try:
            connection.autocommit = True
            connection.cursor().execute(f'LISTEN "{quoted}"')
        except engine.dialect.loaded_dbapi.Error:
            connection.close()
            raise
        self._is_psycopg2 = engine.dialect.driver == "psycopg2"
        self._poll = select.poll()
        self._poll.register(connection.fileno(), select.POLLIN)

    def wait(self, seconds: float) -> list[str]:
        """What has been notified, waiting for the first."""
        if not self._poll.poll(seconds * 1000):
            return []
        if not self._is_psycopg2:
            return [notice.payload for notice in self._connection.notifies(timeout=0)]
        self._connection.poll()
        heard = [notice.payload for notice in self._connection.notifies]
        self._connection.notifies.clear()
        return heard

    def close(self) -> None:
        self._connection.close()


DRIVERS = frozenset({"psycopg", "psycopg2"})
"""Those that tell of notifications."""


def _errors(engine: sa.Engine) -> tuple[type[Exception], ...]:
    """In which the loss of such a connection may show."""
    driver: Any = engine.dialect.loaded_dbapi
    return (driver.Error, exc.SQLAlchemyError, OSError, ValueError)
