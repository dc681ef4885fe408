"""The life of a message, as statements: every change of `messages.state` is in this file.

Functions take an open transaction. A row is changed for its holder only by `id, holder, epoch` together (see
schema.py): what does not match is somebody else's by now, and is left alone.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache, partial
from itertools import chain
from math import inf
from typing import NamedTuple

from celery_rs.errors import CeleryError, Unroutable
from celery_rs.transports.base import Burial, Outgoing
from celery_rs.transports.sqlite.bindings import bound_queues
from celery_rs.transports.sqlite.database import Database, Transaction
from celery_rs.transports.sqlite.wake import Ring

logger = logging.getLogger("celery.transport.sqlite")

ONCE_S = 86_400.0
"""How long a message with the same `once` is refused."""
PROMOTED_MOST = 10_000
"""How many go to their queues at once when they are due: nobody else can write meanwhile, but rows share pages."""

Hold = tuple[int, int]
"""`(id, epoch)`: a held row, as its holder knows it."""


class Reserved(NamedTuple):
    """A row that was just reserved."""

    id: int
    priority: int
    queue: str
    redelivered: int
    crashes: int
    deliveries: int
    envelope: bytes


# Into the queues

_INSERT = """
INSERT INTO messages (queue, state, priority, due, expires, enqueued_at, task, task_id, envelope)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


class Stray(NamedTuple):
    """A message for an exchange that no queue is bound to."""

    outgoing: Outgoing
    envelope: bytes

    @property
    def detail(self) -> str:
        exchange, key = self.outgoing.route
        return f"no queue is bound to exchange {exchange!r} for routing key {key!r}; declare one first"


def enqueue(tx: Transaction, batch: Sequence[Outgoing], envelopes: Sequence[bytes], now: float) -> list[Stray]:
    """Publish; returns what has no queue to go to, which the caller refuses or buries."""
    rows = []
    strays = []
    for outgoing, envelope in zip(batch, envelopes, strict=True):
        _, route, _, once, _ = outgoing
        queues, may_be_none = bound_queues(tx, route) if route[0] else ((route[1],), False)
        if not queues:
            if not may_be_none:
                strays.append(Stray(outgoing, envelope))
            continue
        if once is not None and not _is_first(tx, once, now):
            continue
        rows += [_row(queue, outgoing, envelope, now) for queue in queues]
    insert(tx, rows)
    return strays


def is_plain(batch: Sequence[Outgoing]) -> bool:
    """Whether it is one message to one queue, which nothing needs to be asked about."""
    return len(batch) == 1 and not batch[0].route.exchange and batch[0].once is None


def enqueue_plain(database: Database, outgoing: Outgoing, envelope: bytes, now: float, timeout: float) -> bool:
    """Publish what `is_plain`, in a transaction of its own; tells whether a consumer waited.

    A consumer lists itself as idle in a transaction that finds no message. So either it finds this one, or this one's
    finds it listed; to have it woken may wait until then.
    """
    queue = outgoing.route.routing_key
    if not database.insert(_INSERT, _row(queue, outgoing, envelope, now), timeout):
        return False
    try:
        with database.transaction(timeout) as tx:
            wake_idle(tx, queue)
    except CeleryError as failure:
        # The message stands; who was not rung looks by himself before long.
        logger.warning("somebody could not be woken: %s", failure)
    return True


def _row(queue: str, outgoing: Outgoing, envelope: bytes, now: float) -> tuple[object, ...]:
    message, _, not_before, _, expires = outgoing
    due = not_before if not_before is not None and not_before > now else None
    state = 0 if due is None else 3
    return queue, state, message.priority, due, expires, now, message.task, message.id, envelope


def insert(tx: Transaction, rows: Sequence[tuple[object, ...]]) -> None:
    """Add rows of `_INSERT`'s columns and wake a consumer for each."""
    if len(rows) == 1:
        tx.execute(_INSERT, rows[0])
        wake_idle(tx, str(rows[0][0]))
    elif rows:
        tx.executemany(_INSERT, rows)
        for queue, count in Counter(str(row[0]) for row in rows).items():
            wake_idle(tx, queue, count)


def _is_first(tx: Transaction, once: str, now: float) -> bool:
    return bool(
        tx.execute(
            "INSERT INTO once VALUES (?, ?) "
            "ON CONFLICT (key) DO UPDATE SET at = excluded.at WHERE once.at <= excluded.at - ?",
            (once, now, ONCE_S),
        ).rowcount
    )


def refuse(strays: Sequence[Stray]) -> None:
    """Raise for the first of them: nobody would ever miss a message that goes nowhere."""
    for message in strays:
        raise Unroutable(message.detail)


# Waking consumers

# An UPDATE … RETURNING builds two tables of its own before it finds that there is nobody to wake.
_ANYBODY_IDLE = "SELECT 1 FROM consumers WHERE idle = 1 LIMIT 1"
_WAKE = """
UPDATE consumers SET idle = 0 WHERE id IN (
    SELECT id FROM consumers AS c
    WHERE idle = 1 AND EXISTS (SELECT 1 FROM listens WHERE queue = ? AND consumer = c.id)
    LIMIT ?
) RETURNING address
"""


def wake_idle(tx: Transaction, queue: str, count: int = 1) -> None:
    """Choose up to `count` consumers that wait for `queue`; a dead one's place is taken by the next."""
    if tx.execute(_ANYBODY_IDLE).fetchone() is None:
        return
    for (address,) in tx.execute(_WAKE, (queue, count)).fetchall():
        tx.rings.append(Ring(address, instead=partial(wake_idle, queue=queue)))


# Out of the queues

_READY = "SELECT id, priority FROM messages WHERE state = 0 AND queue = ?"
_URGENT_FIRST = " ORDER BY priority DESC, id LIMIT ?"
_DUE = "SELECT due, id FROM messages WHERE state = 3 AND queue = ? AND due <= ?"
_SOONEST = " ORDER BY due, id LIMIT ?"
_MERGED_MOST = 400
"""SQLite joins no more than 500 SELECTs."""


def _first(select: str, order: str, each: Sequence[tuple[object, ...]], limit: int) -> tuple[str, list[object]]:
    """The first few of all queues, of which `each` has what is asked about one: the statement, and its parameters."""
    groups = [each[first : first + _MERGED_MOST] for first in range(0, len(each), _MERGED_MOST)]
    parameters = [*chain.from_iterable((*chain.from_iterable(group), limit) for group in groups)]
    return _merged(select, order, tuple(map(len, groups))), parameters + [limit] * (len(groups) > 1)


@lru_cache
def _merged(select: str, order: str, groups: Sequence[int]) -> str:
    """SQLite merges what each queue's index gives in order, and reads no more than it takes."""
    merged = [f"{' UNION ALL '.join([select] * queues)}{order}" for queues in groups]
    return merged[0] if len(groups) == 1 else " UNION ALL ".join(f"SELECT * FROM ({each})" for each in merged) + order


# A statement of its own: SQLite looks through all open cursors at each change, and a merge has one for each queue.
_CLAIM = """
UPDATE messages SET state = 1, holder = ?, epoch = ?, deliveries = deliveries + 1
WHERE id IN (SELECT value FROM json_each(?))
RETURNING id, priority, queue, redelivered, crashes, deliveries, envelope
"""


def claim(tx: Transaction, queues: Sequence[str], limit: int, holder: int, epoch: int) -> list[Reserved]:
    """Reserve up to `limit` messages, by priority, then place."""
    ready = tx.execute(*_first(_READY, _URGENT_FIRST, [(queue,) for queue in queues], limit)).fetchall()
    if not ready:
        return []
    rows = tx.execute(_CLAIM, (holder, epoch, str([id for id, _ in ready]))).fetchall()
    rows.sort(key=lambda row: (-row[1], row[0]))
    return list(map(Reserved._make, rows))


def promote(tx: Transaction, queues: Sequence[str], now: float) -> None:
    """What is due goes to the end of its queue, in the order in which it was due: the first of it, if it is much."""
    if not queues:
        return
    due = tx.execute(*_first(_DUE, _SOONEST, [(queue, now) for queue in queues], PROMOTED_MOST)).fetchall()
    if due:
        _move_to_end(tx, [id for _, id in due], "state = 0, due = NULL")


def next_due(tx: Transaction, queues: Sequence[str]) -> float | None:
    if not queues:
        return None
    soonest = tx.execute(*_first(_DUE, _SOONEST, [(queue, inf) for queue in queues], 1)).fetchone()
    return None if soonest is None else soonest[0]


def _move_to_end(tx: Transaction, ids: Sequence[int], changes: str = "") -> None:
    """Also make these changes: one UPDATE of a row costs half of what two do."""
    ((last,),) = tx.execute("SELECT max(id) FROM messages").fetchall()
    assignments = ", ".join(filter(None, ("id = ?", changes)))
    tx.executemany(f"UPDATE messages SET {assignments} WHERE id = ?", [(last + 1 + n, id) for n, id in enumerate(ids)])


# Held

_BEGIN = "UPDATE messages SET state = 2 WHERE id = ? AND epoch = ? AND holder = ?"
_BEGIN_LATE = "UPDATE messages SET started = 1 WHERE id = ? AND epoch = ? AND holder = ?"
_DELETE = "DELETE FROM messages WHERE id = ? AND epoch = ? AND holder = ?"
_FREE = "state = 0, holder = NULL, epoch = NULL, started = 0"


def held_by(tx: Transaction, holder: int) -> set[Hold]:
    return set(tx.execute("SELECT id, epoch FROM messages WHERE holder = ?", (holder,)).fetchall())


def begin(tx: Transaction, holds: Iterable[Hold], holder: int, *, late: bool) -> int:
    """Returns how many still were ours."""
    return tx.executemany(_BEGIN_LATE if late else _BEGIN, [(*hold, holder) for hold in holds]).rowcount


def delete(tx: Transaction, holds: Iterable[Hold], holder: int) -> int:
    """Returns how many still were ours."""
    return tx.executemany(_DELETE, [(*hold, holder) for hold in holds]).rowcount


def release(tx: Transaction, holds: Sequence[Hold], *, crashed: bool, front: bool) -> None:
    """Back to their queues: to where they were, or to the end. They must be ours."""
    tx.executemany(
        f"UPDATE messages SET {_FREE}, redelivered = 1, crashes = crashes + ?, deliveries = deliveries - ? "
        "WHERE id = ?",
        [(crashed, not crashed, id) for id, _ in holds],
    )
    wake_for(tx, [id for id, _ in holds])
    if not front:
        _move_to_end(tx, [id for id, _ in sorted(holds)])


def release_unknown(tx: Transaction, holder: int, epochs: Iterable[int]) -> None:
    """Back to their queues: what was reserved in receives whose reply was lost."""
    for epoch in epochs:
        rows = tx.execute(
            f"UPDATE messages SET {_FREE}, redelivered = 1 "
            "WHERE holder = ? AND epoch = ? AND state = 1 RETURNING queue",
            (holder, epoch),
        ).fetchall()
        for queue, count in Counter(queue for (queue,) in rows).items():
            wake_idle(tx, queue, count)


def release_all(tx: Transaction, holder: int, *, dead: bool) -> int:
    """Back to their queues: everything that `holder` had not begun. Returns how many.

    What a dead one ran late has crashed; what a living one returns does not count as a delivery.
    """
    rows = tx.execute(
        f"UPDATE messages SET {_FREE}, redelivered = 1, "
        "crashes = crashes + (started AND :dead), deliveries = deliveries - (NOT :dead) "
        "WHERE holder = :holder AND state = 1 RETURNING queue",
        {"holder": holder, "dead": dead},
    ).fetchall()
    for queue, count in Counter(queue for (queue,) in rows).items():
        wake_idle(tx, queue, count)
    return len(rows)


def inherit(tx: Transaction, dead: int, holder: int, epoch: int, *, of_epoch: int | None = None) -> list[Reserved]:
    """What `dead` had begun (in one epoch, or at all) is held by `holder` from now on, still begun."""
    rows = tx.execute(
        "UPDATE messages SET holder = ?, epoch = ? WHERE holder = ? AND state = 2 AND epoch = ifnull(?, epoch) "
        "RETURNING id, priority, queue, redelivered, crashes, deliveries, envelope",
        (holder, epoch, dead, of_epoch),
    ).fetchall()
    return list(map(Reserved._make, sorted(rows)))


def postpone(tx: Transaction, due: Mapping[Hold, float]) -> None:
    """To the delayed ones. They must be ours."""
    tx.executemany(
        "UPDATE messages SET state = 3, due = ?, holder = NULL, epoch = NULL, started = 0, deliveries = deliveries - 1 "
        "WHERE id = ?",
        [(when, id) for (id, _), when in due.items()],
    )
    # Somebody who waits must know that it is to wait no longer than that.
    wake_for(tx, [id for id, _ in due])


def copy_to_dead(tx: Transaction, letters: Mapping[Hold, Burial], now: float) -> None:
    """Store the dead letters; the messages themselves are deleted next. They must be ours."""
    tx.executemany(
        "INSERT INTO dead (queue, priority, task, task_id, reason, detail, crashes, deliveries, died_at, envelope) "
        "SELECT queue, priority, task, task_id, ?, ?, crashes, deliveries, ?, envelope FROM messages WHERE id = ?",
        [(burial.reason, burial.detail, now, id) for (id, _), burial in letters.items()],
    )


def bury_strays(tx: Transaction, strays: Iterable[Stray], now: float) -> None:
    """A follow-up has no caller who could be told: a dead letter tells the operator."""
    tx.executemany(
        "INSERT INTO dead (queue, priority, task, task_id, reason, detail, crashes, deliveries, died_at, envelope) "
        "VALUES (?, ?, ?, ?, 'unroutable', ?, 0, 0, ?, ?)",
        [
            (
                message.outgoing.route.routing_key,
                message.outgoing.message.priority,
                message.outgoing.message.task,
                message.outgoing.message.id,
                message.detail,
                now,
                message.envelope,
            )
            for message in strays
        ],
    )


def wake_for(tx: Transaction, ids: Sequence[int]) -> None:
    """Wake consumers for messages that are somewhere in their queues by now."""
    queues: Counter[str] = Counter()
    for id in ids:
        queues.update(queue for (queue,) in tx.execute("SELECT queue FROM messages WHERE id = ?", (id,)).fetchall())
    for queue, count in queues.items():
        wake_idle(tx, queue, count)


def ring_everybody(tx: Transaction) -> None:
    """Have every consumer look, whether it is idle or not: something other than a message is new."""
    for (address,) in tx.execute("SELECT address FROM consumers").fetchall():
        tx.rings.append(Ring(address, instead=_nothing))


def _nothing(tx: Transaction) -> None:
    """The dead need not know; `recover` buries them."""
