"""What is where: counts by queue and state, what waits for its time, and the place of one task's message."""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Literal

from celery_rs._core import open_envelopes
from celery_rs.transports.base import Delayed, QueueInfo, Whereabouts
from celery_rs.transports.sqlite.database import Database

_STATES: dict[int, Literal["ready", "held", "begun", "delayed"]] = {0: "ready", 1: "held", 2: "begun", 3: "delayed"}

_AT_ONCE = 500
"""Ids in one question: old SQLite takes no more than 999 parameters."""

# One statement, so that a message on its way is counted once. Each part is answered from its own index.
_COUNTS = """
SELECT queue, 'ready', count(*) FROM messages WHERE state = 0 GROUP BY queue
UNION ALL SELECT queue, CASE state WHEN 1 THEN 'held' ELSE 'begun' END, count(*)
          FROM messages WHERE holder IS NOT NULL GROUP BY queue, state
UNION ALL SELECT queue, iif(due <= :now, 'ready', 'delayed'), count(*)
          FROM messages WHERE state = 3 GROUP BY queue, due <= :now
UNION ALL SELECT queue, 'dead', count(*) FROM dead GROUP BY queue
UNION ALL SELECT queue, 'consumers', count(*) FROM listens GROUP BY queue
UNION ALL SELECT name, 'declared', 1 FROM queues
"""


def take(database: Database, names: Sequence[str] | None) -> dict[str, QueueInfo]:
    """Of these queues, or of all that are known here."""
    now = database.clock()
    found: dict[str, Counter[str]] = {}
    for queue, what, count in database.read(_COUNTS, {"now": now}):
        found.setdefault(queue, Counter())[what] += count
    infos = {}
    for name in sorted(found) if names is None else names:
        counts = found.get(name, Counter())
        infos[name] = QueueInfo(
            ready=counts["ready"],
            held=counts["held"],
            begun=counts["begun"],
            delayed=counts["delayed"],
            dead=counts["dead"],
            oldest=_oldest(database, name, now) if counts["ready"] else None,
            consumers=counts["consumers"],
        )
    return infos


def _oldest(database: Database, queue: str, now: float) -> float | None:
    """The age of the oldest ready message."""
    ((enqueued_at,),) = database.read(
        "SELECT min(enqueued_at) FROM messages WHERE queue = :queue AND (state = 0 OR (state = 3 AND due <= :now))",
        {"queue": queue, "now": now},
    )
    return None if enqueued_at is None else max(0.0, now - enqueued_at)


def delayed(database: Database, queues: Sequence[str], limit: int) -> list[Delayed]:
    """What waits there for its time, soonest first."""
    places = ", ".join("?" * len(queues))
    rows = database.read(
        f"SELECT queue, due, envelope FROM messages WHERE state = 3 AND queue IN ({places}) AND due > ? "
        "ORDER BY due LIMIT ?",
        (*queues, database.clock(), limit),
    )
    envelopes = open_envelopes([envelope for _, _, envelope in rows])
    return [Delayed(queue, due, envelope) for (queue, due, _), envelope in zip(rows, envelopes, strict=True)]


def locate(database: Database, task_ids: Collection[str]) -> dict[str, Whereabouts]:
    """Looks at every message: an index on it would cost each task more than people ask."""
    ids = list(task_ids)
    found: dict[str, Whereabouts] = {}
    for start in range(0, len(ids), _AT_ONCE):
        found |= _locate(database, ids[start : start + _AT_ONCE])
    return found


def _locate(database: Database, ids: Sequence[str]) -> dict[str, Whereabouts]:
    now = database.clock()
    rows = database.read(
        "SELECT m.task_id, m.queue, m.state, c.name, m.due, m.crashes, m.deliveries FROM messages AS m "
        "LEFT JOIN consumers AS c ON c.id = m.holder "
        f"WHERE m.task_id IN ({', '.join('?' * len(ids))}) ORDER BY m.holder IS NOT NULL",  # what is held counts
        ids,
    )
    found = {}
    for task_id, queue, state, holder, due, crashes, deliveries in rows:
        if due is not None and due <= now:
            found[task_id] = Whereabouts(queue, "ready", None, None, crashes, deliveries)
        else:
            found[task_id] = Whereabouts(queue, _STATES[state], holder, due, crashes, deliveries)
    return found


def find(database: Database, task_id: str) -> Whereabouts | None:
    """A dead letter is found, too."""
    alive = locate(database, [task_id])
    if alive:
        return alive[task_id]
    rows = database.read(
        "SELECT queue, crashes, deliveries FROM dead WHERE task_id = ? ORDER BY id DESC LIMIT 1", (task_id,)
    )
    for queue, crashes, deliveries in rows:
        return Whereabouts(queue, "dead", None, None, crashes, deliveries)
    return None
