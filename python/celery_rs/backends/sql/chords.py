"""Chords: parts are counted and complete chords claimed in one transaction, in tables of our own.

Each transaction first updates the chord's row, so that two workers that bring the last parts at once do it one after
the other, and the second sees all of them.
"""

import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from celery_rs.backends.base import ChordClaim
from celery_rs.backends.sql.alchemy import sa
from celery_rs.backends.sql.database import Database
from celery_rs.backends.sql.expiry import Expiry
from celery_rs.backends.sql.tables import Tables
from celery_rs.backends.sql.upsert import insert_missing
from celery_rs.wire import ChordPart


class Chords(NamedTuple):
    """Any thread. Raises BackendError."""

    database: Database
    tables: Tables
    expiry: Expiry
    clock: Callable[[], float] = time.time

    def open(self, group: str, size: int) -> None:
        self.database.ask(lambda connection: self._touch(connection, group, size=size), *self.tables.of_chords)

    def claim(self, parts: Sequence[ChordPart], claim_s: float) -> list[ChordClaim]:
        groups = dict.fromkeys(part.group for part in parts)
        if not groups:
            return []
        tokens = {group: secrets.token_hex(8) for group in groups}

        def claimed(connection: sa.Connection) -> dict[str, list[ChordPart]]:
            found = {}
            now = self.clock()
            for group in sorted(groups):  # in one order, so that nobody waits in a circle
                self._touch(connection, group)
                self._count(connection, group, [part for part in parts if part.group == group])
                if self._take(connection, group, tokens[group], now, now + claim_s):
                    found[group] = self._parts(connection, group)
            return found

        found = self.database.ask(claimed, *self.tables.of_chords)
        return [SqlChordClaim(self, group, found[group], tokens[group]) for group in groups if group in found]

    def _touch(self, connection: sa.Connection, group: str, **values: Any) -> None:
        """Have its row, locked."""
        chords = self.tables.chords
        lasts = self.expiry.lasts()
        values |= {"expires": self.clock() + lasts if lasts else None}
        insert_missing(connection, chords, {"chord": group, "claimed_until": 0.0, "published": 0})
        connection.execute(sa.update(chords).where(chords.c.chord == group).values(values))

    def _count(self, connection: sa.Connection, group: str, parts: Sequence[ChordPart]) -> None:
        """The first report of a member stands."""
        chords, counted = self.tables.chords, self.tables.parts
        if connection.execute(sa.select(chords.c.published).where(chords.c.chord == group)).scalar():
            return
        known = set(connection.execute(sa.select(counted.c.task_id).where(counted.c.chord == group)).scalars())
        fresh = {part.task_id: part for part in reversed(parts) if part.task_id not in known}
        if fresh:
            rows = [
                {"chord": group, "task_id": id, "place": part.index, "state": part.state, "result": part.result}
                for id, part in fresh.items()
            ]
            connection.execute(sa.insert(counted), rows)

    def _take(self, connection: sa.Connection, group: str, token: str, now: float, until: float) -> bool:
        """If it is complete and nobody else's."""
        chords, counted = self.tables.chords, self.tables.parts
        many = sa.select(sa.func.count()).select_from(counted).where(counted.c.chord == group).scalar_subquery()
        taken = (
            sa.update(chords)
            .where(
                chords.c.chord == group, chords.c.published == 0, chords.c.claimed_until <= now, chords.c.size <= many
            )
            .values(claim=token, claimed_until=until)
        )
        return bool(connection.execute(taken).rowcount)

    def _parts(self, connection: sa.Connection, group: str) -> list[ChordPart]:
        """In the header's order."""
        counted = self.tables.parts
        rows = connection.execute(
            sa.select(counted.c.chord, counted.c.task_id, counted.c.place, counted.c.state, counted.c.result).where(
                counted.c.chord == group
            )
        )
        parts = [ChordPart(*row) for row in rows]
        return sorted(parts, key=lambda part: (part.index is None, part.index or 0, part.task_id))

    def renew(self, group: str, token: str, claim_s: float) -> bool:
        until = self.clock() + claim_s
        return self.database.ask(
            lambda connection: self._set(connection, group, token, claimed_until=until), *self.tables.of_chords
        )

    def close(self, group: str, token: str, published: bool) -> None:
        """The chord itself stays until it expires: a part that is reported again must not reopen it."""
        counted = self.tables.parts

        def closed(connection: sa.Connection) -> None:
            let_go = self._set(connection, group, token, claim=None, claimed_until=0.0, published=int(published))
            if let_go and published:
                connection.execute(sa.delete(counted).where(counted.c.chord == group))

        self.database.ask(closed, *self.tables.of_chords)

    def _set(self, connection: sa.Connection, group: str, token: str, **values: Any) -> bool:
        """Whether that claim still holds."""
        chords = self.tables.chords
        held = sa.update(chords).where(chords.c.chord == group, chords.c.claim == token)
        return bool(connection.execute(held.values(values)).rowcount)

    def cleanup(self) -> None:
        """Where there have ever been chords."""
        chords, counted = self.tables.of_chords
        if not self.database.has(chords) or not self.database.has(counted):
            return
        now = self.clock()

        def cleaned(connection: sa.Connection) -> None:
            gone = sa.select(chords.c.chord).where(chords.c.expires <= now)
            connection.execute(sa.delete(counted).where(counted.c.chord.in_(gone)))
            connection.execute(sa.delete(chords).where(chords.c.expires <= now))

        self.database.ask(cleaned)


class SqlChordClaim:
    """See `backends.base.ChordClaim`. `token` tells this claim from a later one."""

    def __init__(self, chords: Chords, group: str, parts: Sequence[ChordPart], token: str) -> None:
        self.group = group
        self.parts = parts
        self._chords = chords
        self._token = token

    def renew(self, claim_s: float) -> bool:
        return self._chords.renew(self.group, self._token, claim_s)

    def close(self, published: bool) -> None:
        self._chords.close(self.group, self._token, published)
