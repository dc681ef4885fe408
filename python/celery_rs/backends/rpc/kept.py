"""What has come for this process: records by task, which never go backwards. Pure; one thread at a time.

A record that nobody has asked for is kept for as long as results are kept, one that has been told only for a while:
who was told remembers it. Both shelves are bounded, or a process that calls and never asks would fill up.
"""

from collections import OrderedDict
from typing import NamedTuple

from celery_rs.wire import TaskResult, supersedes

UNTOLD_MOST, UNTOLD_BYTES = 100_000, 256 << 20
"""Records that nobody has asked for; the oldest go first."""
TOLD_MOST, TOLD_BYTES = 1000, 16 << 20


class _Held(NamedTuple):
    record: TaskResult
    at: float


class _Shelf:
    """Records in the order of their last change."""

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._bytes = 0
        self._held: OrderedDict[str, _Held] = OrderedDict()

    def __len__(self) -> int:
        return len(self._held)

    def get(self, task_id: str) -> TaskResult | None:
        held = self._held.get(task_id)
        return None if held is None else held.record

    def put(self, record: TaskResult, now: float) -> int:
        """Returns how many had to go; the new one stays, however large."""
        self.pop(record.task_id)
        self._held[record.task_id] = _Held(record, now)
        self._bytes += len(record.meta)
        dropped = 0
        while len(self._held) > 1 and (len(self._held) > self._most or self._bytes > self._most_bytes):
            self._drop_oldest()
            dropped += 1
        return dropped

    def pop(self, task_id: str) -> TaskResult | None:
        held = self._held.pop(task_id, None)
        if held is None:
            return None
        self._bytes -= len(held.record.meta)
        return held.record

    def drop_older(self, than: float) -> None:
        while self._held and next(iter(self._held.values())).at <= than:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        _, held = self._held.popitem(last=False)
        self._bytes -= len(held.record.meta)


class Kept:
    """`expires` is seconds; None is for ever."""

    def __init__(
        self, expires: float | None, *, untold_most: int = UNTOLD_MOST, untold_bytes: int = UNTOLD_BYTES
    ) -> None:
        self._expires = expires
        self._untold = _Shelf(untold_most, untold_bytes)
        self._told = _Shelf(TOLD_MOST, TOLD_BYTES)
        self.dropped = 0
        """How many went although nobody had asked for them."""

    def __len__(self) -> int:
        return len(self._untold) + len(self._told)

    def get(self, task_id: str) -> TaskResult | None:
        return self._untold.get(task_id) or self._told.get(task_id)

    def put(self, record: TaskResult, now: float) -> bool:
        """Unless it would go backwards; says whether it was kept."""
        self.expire(now)
        known = self.get(record.task_id)
        if known and not supersedes(record.state, record.attempt, over=known.state, over_attempt=known.attempt):
            return False
        self._told.pop(record.task_id)
        self.dropped += self._untold.put(record, now)
        return True

    def tell(self, task_id: str, now: float) -> None:
        """Somebody has been told of it."""
        record = self._untold.pop(task_id)
        if record is not None:
            self._told.put(record, now)

    def forget(self, task_id: str) -> None:
        self._untold.pop(task_id)
        self._told.pop(task_id)

    def expire(self, now: float) -> None:
        if self._expires:
            self._untold.drop_older(now - self._expires)
            self._told.drop_older(now - self._expires)
