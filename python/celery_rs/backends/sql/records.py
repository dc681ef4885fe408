"""Records as rows of Celery's table: none goes backwards, batches are one transaction.

What the database will never take (a result that is too long for its column) would be tried again for ever; a failure
that says so is stored in its place.
"""

import logging
import secrets
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from celery_rs import states
from celery_rs.backends.sql import upsert
from celery_rs.backends.sql.alchemy import sa
from celery_rs.backends.sql.database import Database
from celery_rs.backends.sql.expiry import Expiry
from celery_rs.backends.sql.notices import notify
from celery_rs.backends.sql.rows import Row, RowCodec
from celery_rs.backends.sql.tables import Tables
from celery_rs.backends.sql.troubles import RefusedValue, Unreachable
from celery_rs.backends.sql.upsert import Write
from celery_rs.errors import BackendStoreError, ContentError, EncodeError
from celery_rs.wire import ResultCodec, TaskResult, encode_failure, encode_meta

log = logging.getLogger(__name__)

_IDS_AT_ONCE = 500
_ROWS_AT_ONCE = 200
_BYTES_AT_ONCE = 1 << 20
"""Of a statement: what servers accept begins at a few megabytes."""


class Records(NamedTuple):
    """Any thread. Raises BackendError. `write` puts rows in by the rule."""

    database: Database
    tables: Tables
    codec: RowCodec
    expiry: Expiry
    clock: Callable[[], float] = time.time
    write: Write = upsert.write

    def store(self, records: Sequence[TaskResult]) -> list[bool]:
        if not records:
            return []
        now, token = self.clock(), secrets.token_hex(4)
        try:
            rows = [self._row(record, now, f"{token}{place}") for place, record in enumerate(records)]
            return self._store(rows)
        except (RefusedValue, ContentError, EncodeError) as error:
            if len(records) > 1:
                return [self.store([record])[0] for record in records]
            return [self._store_instead(records[0], error, now, token)]

    def _store_instead(self, record: TaskResult, error: Exception, now: float, token: str) -> bool:
        log.error("the record %s of task %s cannot be stored: %s", record.state, record.task_id, error)
        if record.state not in states.READY_STATES:
            return False
        codec = ResultCodec(self.codec.writes)
        refused = BackendStoreError(f"the record {record.state} cannot be stored: {error}")
        failure = encode_failure(refused, codec.serializer)
        meta = encode_meta(record.task_id, states.FAILURE, failure, now=now, codec=codec, attempt=record.attempt)
        try:
            told = TaskResult(record.task_id, states.FAILURE, record.attempt, meta)
            return self._store([self._row(told, now, f"{token}-")])[0]
        except RefusedValue as also:
            log.error("nor can task %s be told so: %s", record.task_id, also)
            return False

    def _row(self, record: TaskResult, now: float, token: str) -> Row:
        return self.codec.row(record, now, token, whole_seconds=self.database.counts_whole_seconds)

    def _store(self, rows: Sequence[Row]) -> list[bool]:
        def stored(connection: sa.Connection) -> list[bool]:
            self._drop_gone(connection, rows)
            written = [False] * len(rows)
            for places in _rounds(rows):
                ids = self.write(connection, self.tables.tasks, [rows[place] for place in places])
                for place in places:
                    written[place] = rows[place]["task_id"] in ids
            ready = [
                row["task_id"] for row, is_in in zip(rows, written, strict=True)
                if is_in and row["status"] in states.READY_STATES
            ]  # fmt: skip
            notify(connection, self.tables.tasks, ready)
            return written

        try:
            return self.database.ask(stored, *self.tables.of_results)
        except Unreachable as error:
            limit = self.database.longest_statement()
            if limit is None or all(2 * _weight(row) <= limit for row in rows):
                raise
            raise RefusedValue(
                f"{error}; it takes no statement of more than {limit} bytes (max_allowed_packet)"
            ) from None

    def _drop_gone(self, connection: sa.Connection, rows: Sequence[Row]) -> None:
        """What has expired stands in nobody's way. It is looked for first, since deleting nothing may lock much."""
        tasks = self.tables.tasks
        gone = self.expiry.gone(tasks, self.clock())
        for ids in _some({row["task_id"] for row in rows}):
            found = connection.execute(sa.select(tasks.c.id).where(tasks.c.task_id.in_(ids), gone)).scalars().all()
            if found:
                connection.execute(sa.delete(tasks).where(tasks.c.id.in_(found), gone))

    def fetch(self, ids: Collection[str]) -> dict[str, TaskResult]:
        tasks = self.tables.tasks
        wanted = sa.select(*(column for column in tasks.c if column.name != "id"))
        wanted = wanted.where(sa.not_(self.expiry.gone(tasks, self.clock())) | tasks.c.date_done.is_(None))

        def fetched(connection: sa.Connection) -> list[Row]:
            return [
                dict(row)
                for some in _some(ids)
                for row in connection.execute(wanted.where(tasks.c.task_id.in_(some))).mappings()
            ]

        found = self.database.ask(fetched, *self.tables.of_results) if ids else []
        return {row["task_id"]: self.codec.record(row) for row in found}

    def forget(self, ids: Collection[str]) -> None:
        tasks = self.tables.tasks

        def forgotten(connection: sa.Connection) -> None:
            for some in _some(ids):
                connection.execute(sa.delete(tasks).where(tasks.c.task_id.in_(some)))

        self.database.ask(forgotten, *self.tables.of_results)

    def cleanup(self) -> None:
        """In transactions that keep nobody waiting."""
        for table in self.tables.of_results:
            while self.database.ask(partial(self._drop_some, table), table) == _IDS_AT_ONCE:
                pass

    def _drop_some(self, table: sa.Table, connection: sa.Connection) -> int:
        gone = self.expiry.gone(table, self.clock())
        found = connection.execute(sa.select(table.c.id).where(gone).limit(_IDS_AT_ONCE)).scalars().all()
        if found:
            connection.execute(sa.delete(table).where(table.c.id.in_(found), gone))
        return len(found)


def _some(ids: Collection[str]) -> Iterator[list[str]]:
    listed = list(ids)
    for start in range(0, len(listed), _IDS_AT_ONCE):
        yield listed[start : start + _IDS_AT_ONCE]


def _rounds(rows: Sequence[Row]) -> Iterator[list[int]]:
    """Which rows go into one statement: no id twice, in the order of ids, so that nobody waits in a circle."""
    rounds: list[dict[str, int]] = []
    seen: dict[str, int] = {}
    for place, row in enumerate(rows):
        number = seen[row["task_id"]] = seen.get(row["task_id"], -1) + 1
        if number == len(rounds):
            rounds.append({})
        rounds[number][row["task_id"]] = place
    for places in rounds:
        yield from _chunks(rows, [places[task_id] for task_id in sorted(places)])


def _chunks(rows: Sequence[Row], places: Sequence[int]) -> Iterator[list[int]]:
    chunk: list[int] = []
    size = 0
    for place in places:
        weight = _weight(rows[place])
        if chunk and (len(chunk) == _ROWS_AT_ONCE or size + weight > _BYTES_AT_ONCE):
            yield chunk
            chunk, size = [], 0
        chunk.append(place)
        size += weight
    yield chunk


def _weight(row: Row) -> int:
    """About how many bytes there are to send; at most twice as many where quotes have to be escaped."""
    return sum(len(value) for value in row.values() if isinstance(value, bytes | str))
