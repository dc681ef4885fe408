"""Small durable truths, each with the version at which it was put or dropped."""

from collections.abc import Sequence

from celery_rs.transports.base import Fact
from celery_rs.transports.sqlite.database import Database, Transaction
from celery_rs.transports.sqlite.messages import ring_everybody

DROPPED_FACT_S = 86_400.0
"""How long a dropped fact is still told to workers that look rarely."""


class SqliteFacts:
    """See `transports.base.Facts`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, kind: str, key: str, value: bytes, until: float | None = None) -> None:
        with self._database.transaction() as tx:
            _record(tx, Fact(kind, key, value, until))

    def drop(self, kind: str, key: str) -> None:
        with self._database.transaction() as tx:
            known = tx.execute("SELECT 1 FROM facts WHERE kind = ? AND key = ? AND value IS NOT NULL", (kind, key))
            if known.fetchall():
                _record(tx, Fact(kind, key, None, self._database.clock() + DROPPED_FACT_S))

    def since(self, version: int) -> tuple[int, Sequence[Fact]]:
        # One statement, so that the version belongs to the facts; the empty row is there even without any.
        rows = self._database.read(
            "SELECT newest.version, kind, key, value, until FROM facts_version AS newest "
            "LEFT JOIN facts ON facts.version > ? AND (until IS NULL OR until > ?) ORDER BY facts.version",
            (version, self._database.clock()),
        )
        return int(rows[0][0]), [Fact(*row[1:]) for row in rows if row[1] is not None]


def current_version(tx: Transaction) -> int:
    ((version,),) = tx.execute("SELECT version FROM facts_version").fetchall()
    return int(version)


def _record(tx: Transaction, fact: Fact) -> None:
    ((version,),) = tx.execute("UPDATE facts_version SET version = version + 1 RETURNING version").fetchall()
    tx.execute(
        "INSERT INTO facts VALUES (?, ?, ?, ?, ?) ON CONFLICT (kind, key) DO UPDATE "
        "SET value = excluded.value, until = excluded.until, version = excluded.version",
        (*(fact.kind, fact.key, fact.value, fact.until), version),
    )
    ring_everybody(tx)
