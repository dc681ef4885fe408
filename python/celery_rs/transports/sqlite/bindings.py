"""Which queues an exchange leads to.

A row without a queue says that a fanout exchange exists: nobody may be listening. A fleeting queue (of a `Broadcast`)
is bound while it is consumed, by a row of the kind `broadcast`; it and what waits in it go with its last consumer.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from celery_rs._core import topic_matches
from celery_rs.errors import NotSupported
from celery_rs.transports.base import Route
from celery_rs.transports.sqlite.database import Transaction
from celery_rs.wire import Queue, binding

_KINDS = ("direct", "topic", "fanout")
_BIND = "INSERT OR REPLACE INTO bindings (exchange, queue, kind, pattern) VALUES (?, ?, ?, ?)"
_DESERTED = "kind = 'broadcast' AND NOT EXISTS (SELECT 1 FROM listens WHERE listens.queue = bindings.queue)"


class Bound(NamedTuple):
    """The queues a message goes to; there may be none, which is no mistake where `may_be_none`."""

    queues: Sequence[str]
    may_be_none: bool


def check(queues: Iterable[Queue]) -> None:
    """Raises NotSupported for exchanges of types that are not there."""
    for queue in queues:
        for bound in queue.all_bindings:
            name, kind = bound.exchange.name, bound.exchange.type
            if kind not in _KINDS:
                raise NotSupported(f"exchange {name!r} of type {kind!r}", "use direct, topic or fanout")


def declare(tx: Transaction, queues: Sequence[Queue]) -> None:
    lasting = [queue for queue in queues if not queue.is_fleeting]
    tx.executemany("INSERT OR IGNORE INTO queues VALUES (?)", [(queue.name,) for queue in lasting])
    fanouts = {
        bound.exchange.name for queue in queues for bound in queue.all_bindings if bound.exchange.type == "fanout"
    }
    tx.executemany(_BIND, [(name, "", "fanout", "") for name in sorted(fanouts)])
    tx.executemany(
        _BIND, [_row(queue, bound, bound.exchange.type) for queue in lasting for bound in queue.all_bindings]
    )


def listen(tx: Transaction, queues: Iterable[Queue]) -> None:
    """These fleeting queues are consumed from now on."""
    tx.executemany(_BIND, [_row(queue, bound, "broadcast") for queue in queues for bound in queue.all_bindings])


def clear_deserted(tx: Transaction) -> None:
    """Drop fleeting queues that nobody consumes any more, with what waits in them."""
    tx.execute(
        f"DELETE FROM messages WHERE state IN (0, 3) AND queue IN (SELECT queue FROM bindings WHERE {_DESERTED})"
    )
    tx.execute(f"DELETE FROM bindings WHERE {_DESERTED}")


def bound_queues(tx: Transaction, route: Route) -> Bound:
    exchange, key = route
    rows = tx.execute("SELECT queue, kind, pattern FROM bindings WHERE exchange = ?", (exchange,)).fetchall()
    found = dict.fromkeys(queue for queue, kind, pattern in rows if queue and _binds(kind, pattern, key))
    return Bound(list(found), any(kind in ("fanout", "broadcast") for _, kind, _ in rows))


def _row(queue: Queue, bound: binding, kind: str) -> tuple[str, str, str, str]:
    return bound.exchange.name, queue.name, kind, bound.routing_key


def _binds(kind: str, pattern: str, key: str) -> bool:
    if kind in ("fanout", "broadcast"):
        return True
    return topic_matches(pattern, key) if kind == "topic" else pattern == key
