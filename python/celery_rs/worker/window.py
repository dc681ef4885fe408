"""How much more to receive (pure).

A worker starts with one message for each free slot. While tasks prove short it reserves ahead, twice as much
each time, up to what its slots can do in a tenth of a second; as soon as they are not short it holds no more
than it can run. An explicit prefetch multiplier is obeyed instead.
"""

from collections import deque
from collections.abc import Iterable

from celery_rs.worker.gathering import Gathering

SHORT_S = 0.005
"""A queue of tasks is short while the 90th percentile of its runtimes stays below this."""
AHEAD_S = 0.1
"""How much work may be reserved ahead, in seconds of all slots."""
MOST = 2048
MOST_PUSHED = 4096
"""Where a broker pushes: its queue's process pauses for 0.1 to 0.3 s at a time to collect garbage (performance.md)."""
MOST_ASKED = 1_000_000
"""More than this is not received at once, whatever the multiplier says."""
_REMEMBERED = 128


class Window:
    """`slots` jobs can run at once; `multiplier` is `worker_prefetch_multiplier` (None: adaptive, 0: no limit)."""

    def __init__(self, slots: int, multiplier: int | None, *, pushed: bool = False) -> None:
        """`pushed` is `Features.pushes` of the broker."""
        self.slots = slots
        self.multiplier = multiplier
        self._runtimes: deque[float] = deque(maxlen=_REMEMBERED)
        self._size = slots
        self._most = MOST_PUSHED if pushed else MOST
        self.gathering = Gathering(pushed=pushed)
        self.opens_at: float | None = None
        """When, by the monotonic clock alone, it will open; None where it does not wait for that."""

    @property
    def adaptive(self) -> bool:
        return self.multiplier is None

    @property
    def size(self) -> int:
        """The most messages in hand: ready, running or unsettled."""
        if self.multiplier is None:
            return max(self.slots, self._size)
        return min(self.slots * self.multiplier, MOST_ASKED) or self._most

    def observe(self, runtimes: Iterable[float]) -> None:
        """Learn from finished tasks (seconds each)."""
        if self.multiplier is not None:
            return
        self._runtimes.extend(runtimes)
        if not self._runtimes:
            return
        high = percentile_90(self._runtimes)
        most = min(self._most, int(self.slots * AHEAD_S / max(high, 1e-6))) if high < SHORT_S else self.slots
        self._size = max(self.slots, min(self._size * 2, most))

    def stalled(self) -> None:
        """What was reserved ahead could not start: hold no more than can run until tasks prove short again."""
        self._size = self.slots

    def open(self, in_hand: int, now: float) -> int:
        """How many more to receive now; 0 until a worthwhile batch fits, unless a slot has nothing to do."""
        if self.gathering.goes_on(in_hand, now):
            self.opens_at = self.gathering.until
            return 0
        self.opens_at = None
        free = self.size - in_hand
        return free if free >= max(1, self.size // 4) or 0 <= in_hand < min(self.slots, self.size) else 0


def percentile_90(values: Iterable[float]) -> float:
    """The value that nine tenths of `values` do not exceed."""
    ordered = sorted(values)
    return ordered[(len(ordered) - 1) * 9 // 10]
