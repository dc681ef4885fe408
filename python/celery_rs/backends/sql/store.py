"""Results in a SQL database, as Celery keeps them: a row for each task, and one for each saved group."""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Literal

from celery_rs.backends.base import ChordClaim
from celery_rs.backends.looking import Patient, watch_by_looking
from celery_rs.backends.sql import upsert
from celery_rs.backends.sql.alchemy import sa
from celery_rs.backends.sql.chords import Chords
from celery_rs.backends.sql.database import Database
from celery_rs.backends.sql.ear import Ear
from celery_rs.backends.sql.expiry import Expiry
from celery_rs.backends.sql.groups import Groups
from celery_rs.backends.sql.records import Records
from celery_rs.backends.sql.rows import RowCodec
from celery_rs.backends.sql.tables import Tables
from celery_rs.backends.sql.troubles import Unreachable
from celery_rs.backends.sql.upsert import Write
from celery_rs.wire import ChordPart, TaskResult


class SqlBackend:
    """See `backends.base.ResultBackend`. `listens`: the database tells of what is ready.

    `makes_tables`: whoever asks first makes them; else only who writes does, and who reads finds nothing before.
    """

    place: Literal["parent", "child"] = "child"

    def __init__(
        self,
        database: Database,
        tables: Tables,
        codec: RowCodec,
        expiry: Expiry,
        *,
        listens: bool = False,
        makes_tables: bool = True,
        clock: Callable[[], float] = time.time,
        write: Write = upsert.write,
    ) -> None:
        self.database = database
        self.tables = tables
        self._makes_tables = makes_tables
        self._records = Records(database, tables, codec, expiry, clock, write)
        self._groups = Groups(database, tables, codec, expiry, clock)
        self._chords = Chords(database, tables, expiry, clock)
        self._ear = Ear(database, tables.tasks) if listens else None

    def store(self, records: Sequence[TaskResult]) -> Sequence[bool]:
        return self._records.store(records)

    def fetch(self, ids: Collection[str]) -> dict[str, TaskResult]:
        return self._records.fetch(ids) if self._may_read(self.tables.tasks) else {}

    def _may_read(self, table: sa.Table) -> bool:
        return self._makes_tables or self.database.has(table)

    def watch(self, ids: Collection[str], timeout: float | None) -> Iterator[TaskResult]:
        """A store that goes away in mid-wait is waited for, some time."""
        fetch = Patient(self.fetch, Unreachable)
        if self._ear is None:
            yield from watch_by_looking(fetch, ids, timeout, time.sleep)
            return
        ear = self._ear
        wait = ear.join(ids)
        try:
            yield from watch_by_looking(fetch, ids, timeout, lambda seconds: ear.hear(wait, seconds))
        finally:
            ear.leave(wait)

    def forget(self, ids: Collection[str]) -> None:
        self._records.forget(ids)

    def save_group(self, group: str, meta: bytes) -> None:
        self._groups.save(group, meta)

    def fetch_group(self, group: str) -> bytes | None:
        return self._groups.fetch(group) if self._may_read(self.tables.groups) else None

    def forget_group(self, group: str) -> None:
        self._groups.forget(group)

    def cleanup(self) -> None:
        self._records.cleanup()
        self._chords.cleanup()

    def open_chord(self, group: str, size: int) -> None:
        self._chords.open(group, size)

    def claim_chords(self, parts: Sequence[ChordPart], claim_s: float) -> Sequence[ChordClaim]:
        return self._chords.claim(parts, claim_s)

    def describe(self) -> str:
        return self.database.place.shown

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.describe()}>"

    def after_fork(self) -> None:
        if self._ear is not None:
            self._ear.after_fork()
        self.database.after_fork()

    def close(self) -> None:
        if self._ear is not None:
            self._ear.close()
        self.database.close()
