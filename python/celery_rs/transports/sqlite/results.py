"""Results and chords beside the messages, so that a finish is one transaction.

The upsert obeys `celery_rs.wire.supersedes`. Whoever waits for a result has its address in `waiters`; the
transaction that makes the result ready takes the row out and rings after its commit.
"""

from collections.abc import Iterable, Sequence
from functools import partial

from celery_rs import states
from celery_rs.transports.sqlite.database import Transaction
from celery_rs.transports.sqlite.wake import Ring
from celery_rs.wire import ChordPart, TaskResult

DAY_S = 86_400.0
_IDS_PER_RING = 500

# Ranks 0, 1 and 3 are the ready states: SUCCESS, FAILURE, REVOKED. What has expired supersedes nothing.
_STORE = """
INSERT INTO results (task_id, state, rank, attempt, expires, meta) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (task_id) DO UPDATE
SET state = excluded.state, rank = excluded.rank, attempt = excluded.attempt,
    expires = excluded.expires, meta = excluded.meta
WHERE CASE
    WHEN results.expires <= ? THEN 1
    WHEN results.rank = 0 THEN 0
    WHEN results.rank IN (1, 3) THEN excluded.rank IN (0, 1, 3) AND excluded.attempt > results.attempt
    WHEN excluded.rank IN (0, 1, 3) OR excluded.attempt > results.attempt THEN 1
    WHEN excluded.attempt < results.attempt THEN 0
    WHEN results.state = 'RETRY' THEN excluded.state = 'RETRY'
    ELSE excluded.rank <= results.rank OR excluded.state = 'RETRY'
END
"""


class ResultTable:
    """Records and chords, forgotten `expires_s` seconds after their last change (0: never).

    Failures have a length of time of their own, unless that is None.
    """

    def __init__(self, expires_s: float | None = DAY_S, *, failure_expires_s: float | None = None) -> None:
        self._expires_s = expires_s
        self._failure_expires_s = expires_s if failure_expires_s is None else failure_expires_s

    def expiry(self, now: float, state: str = states.SUCCESS) -> float | None:
        """When a record of that state, or a chord, goes; None is never."""
        lasts = self._failure_expires_s if state == states.FAILURE else self._expires_s
        return now + lasts if lasts else None

    def store(self, tx: Transaction, records: Sequence[TaskResult], now: float) -> list[bool]:
        """Which were written."""
        written = [
            tx.execute(
                _STORE,
                (
                    record.task_id,
                    record.state,
                    states.precedence(record.state),
                    record.attempt,
                    self.expiry(now, record.state),
                    record.meta,
                    now,
                ),
            ).rowcount
            == 1
            for record in records
        ]
        ready = [record.task_id for record in records if record.state in states.READY_STATES]
        if ready:
            _ring_waiters(tx, ready)
        return written

    def count(self, tx: Transaction, parts: Iterable[ChordPart], now: float) -> None:
        """Count finished members of chords; the first report of a member stands."""
        expires = self.expiry(now)
        for part in parts:
            ((published,),) = tx.execute(
                'INSERT INTO chords ("group", expires) VALUES (?, ?) '
                'ON CONFLICT ("group") DO UPDATE SET expires = excluded.expires RETURNING published',
                (part.group, expires),
            ).fetchall()
            if not published:
                tx.execute(
                    "INSERT INTO chord_parts VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                    (part.group, part.task_id, part.index, part.state, part.result),
                )


def _ring_waiters(tx: Transaction, ids: Sequence[str]) -> None:
    if not tx.execute("SELECT 1 FROM waiters LIMIT 1").fetchall():
        return
    waited: dict[str, list[str]] = {}
    for id in ids:
        for (address,) in tx.execute("DELETE FROM waiters WHERE task_id = ? RETURNING address", (id,)).fetchall():
            waited.setdefault(address, []).append(id)
    for address, found in waited.items():
        for start in range(0, len(found), _IDS_PER_RING):
            payload = "\n".join(found[start : start + _IDS_PER_RING]).encode()
            tx.rings.append(Ring(address, partial(_forget_waiter, address), payload))


def _forget_waiter(address: str, tx: Transaction) -> None:
    """Nobody waits there any more."""
    tx.execute("DELETE FROM waiters WHERE address = ?", (address,))
