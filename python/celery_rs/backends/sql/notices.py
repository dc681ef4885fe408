"""Tell who listens that records are ready: PostgreSQL's NOTIFY, several ids in each. Elsewhere nobody is told."""

import hashlib
from collections.abc import Iterator, Sequence

from celery_rs.backends.sql.alchemy import sa

_MOST_BYTES = 7900
"""PostgreSQL takes less than 8000."""
_LONGEST_NAME = 63
_BETWEEN = "\n"


def channel_of(tasks: sa.Table) -> str:
    """By the table's name: other stores in the same database have others."""
    name = f"celery_rs.{tasks.fullname}"
    return (
        name if len(name.encode()) <= _LONGEST_NAME else f"celery_rs.{hashlib.sha256(name.encode()).hexdigest()[:32]}"
    )


def notify(connection: sa.Connection, tasks: sa.Table, ids: Sequence[str]) -> None:
    """With the transaction's end."""
    if connection.dialect.name == "postgresql":
        for payload in _payloads(ids):
            connection.execute(sa.select(sa.func.pg_notify(channel_of(tasks), payload)))


def ids_in(payload: str) -> list[str]:
    return payload.split(_BETWEEN)


def _payloads(ids: Sequence[str]) -> Iterator[str]:
    some: list[str] = []
    size = 0
    for task_id in ids:
        weight = len(task_id.encode("utf-8", "replace")) + len(_BETWEEN)
        if some and size + weight > _MOST_BYTES:
            yield _BETWEEN.join(some)
            some, size = [], 0
        some.append(task_id)
        size += weight
    if some:
        yield _BETWEEN.join(some)
