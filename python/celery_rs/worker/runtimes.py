"""How long each task usually takes, and so what a child may be given at once (pure).

Of a task that has not run yet this only knows how long others took when they first ran here. If those were short it
may go with others, a few in a batch; if it proves long all the same, the pool takes back what waits behind it.
"""

from collections import deque
from collections.abc import Callable, Iterable

from celery_rs.worker.window import percentile_90

BATCH_S = 0.005
"""A child is given about this much work at once, in seconds."""
BATCH_MOST = 128
UNKNOWN_MOST = 16
"""How many tasks that have not run yet a child is given at once."""
_REMEMBERED = 64
_TOGETHER = 16


class Runtimes:
    """Recent runtimes by task name, and those of the last first runs."""

    def __init__(self) -> None:
        self._recent: dict[str, deque[float]] = {}
        self._first: deque[float] = deque(maxlen=_REMEMBERED)
        self._batches: dict[str, tuple[int, int]] = {}
        """How many make 5 ms of work, and how many runs have ended since that was worked out."""
        self._unknown = 1

    def observe(self, ended: Iterable[tuple[str, float]]) -> None:
        """Learn from finished tasks: names, and seconds each."""
        known = len(self._recent)
        for task, runtime in ended:
            recent = self._recent.get(task)
            if recent is None:
                recent = self._recent[task] = deque(maxlen=_REMEMBERED)
                self._first.append(runtime)
            recent.append(runtime)
            batch, seen = self._batches.get(task, (1, 0))
            # One that took longer than a batch allows for counts at once, all others together.
            if batch == 1 or runtime * batch > BATCH_S or seen >= _TOGETHER:
                self._batches.pop(task, None)
            else:
                self._batches[task] = (batch, seen + 1)
        if len(self._recent) > known:
            self._unknown = _batch(self._first, UNKNOWN_MOST)

    def batch(self, task: str) -> int:
        """How many of `task` make about 5 ms of work."""
        known = self._batches.get(task)
        if known is not None:
            return known[0]
        recent = self._recent.get(task)
        if recent is None:
            return self._unknown
        batch = _batch(recent, BATCH_MOST)
        self._batches[task] = (batch, 0)
        return batch

    def company(self, batch: int) -> Callable[[str], bool]:
        """Says of one task after the other whether it may join a batch of so many of another.

        It must be as short; but slower ones may prolong the batch by 5 ms together. What goes alone never joins.
        """
        spare = BATCH_S

        def may_join(task: str) -> bool:
            nonlocal spare
            own = self.batch(task)
            if own < batch:
                spare -= BATCH_S / own - BATCH_S / batch
            return own > 1 and spare >= 0

        return may_join if batch > 1 else lambda task: False


def _batch(runtimes: Iterable[float], most: int) -> int:
    return max(1, min(most, int(BATCH_S / max(percentile_90(runtimes), 1e-6))))
