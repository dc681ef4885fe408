"""Saved groups as rows of Celery's table."""

import time
from collections.abc import Callable
from typing import NamedTuple

from celery_rs.backends.sql.alchemy import sa
from celery_rs.backends.sql.database import Database
from celery_rs.backends.sql.expiry import Expiry, date_of
from celery_rs.backends.sql.rows import RowCodec
from celery_rs.backends.sql.tables import Tables
from celery_rs.backends.sql.upsert import insert_missing
from celery_rs.errors import ContentError
from celery_rs.wire import ResultCodec, decode_group, encode_group


class Groups(NamedTuple):
    """Any thread. Raises BackendError. A group is `{"result": ⟨its tuple⟩}`, of which Celery keeps the tuple."""

    database: Database
    tables: Tables
    codec: RowCodec
    expiry: Expiry
    clock: Callable[[], float] = time.time

    def save(self, group: str, meta: bytes) -> None:
        writes, groups = self.codec.writes, self.tables.groups
        members = decode_group(meta, writes)
        row = {"taskset_id": group, "result": writes.dumps(members, "the group"), "date_done": date_of(self.clock())}

        def saved(connection: sa.Connection) -> None:
            insert_missing(connection, groups, row)
            connection.execute(sa.update(groups).where(groups.c.taskset_id == group).values(row))

        self.database.ask(saved, *self.tables.of_results)

    def fetch(self, group: str) -> bytes | None:
        groups = self.tables.groups
        asked = sa.select(groups.c.result).where(
            groups.c.taskset_id == group,
            sa.not_(self.expiry.gone(groups, self.clock())) | groups.c.date_done.is_(None),
        )
        found = self.database.ask(
            lambda connection: connection.execute(asked).scalars().first(), *self.tables.of_results
        )
        if found is None:
            return None
        try:
            return encode_group(self.codec.value(found), ResultCodec(self.codec.writes))
        except ContentError:
            return bytes(found)  # whoever reads it says what is wrong with it

    def forget(self, group: str) -> None:
        groups = self.tables.groups
        gone = sa.delete(groups).where(groups.c.taskset_id == group)
        self.database.ask(lambda connection: connection.execute(gone), *self.tables.of_results)
