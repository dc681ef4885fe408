"""How long each task usually takes, and so how many of it a child may be given at once (pure)."""

from collections import deque
from collections.abc import Iterable

from celery_rs.worker.window import percentile_90

BATCH_S = 0.005
"""A child is given about this much work at once, in seconds."""
BATCH_MOST = 128
_REMEMBERED = 64
_TOGETHER = 16


class Runtimes:
    """Recent runtimes by task name; a task that is not known yet goes one at a time."""

    def __init__(self) -> None:
        self._recent: dict[str, deque[float]] = {}
        self._batches: dict[str, tuple[int, int]] = {}
        """How many make 5 ms of work, and how many runs have ended since that was worked out."""

    def observe(self, ended: Iterable[tuple[str, float]]) -> None:
        """Learn from finished tasks: names, and seconds each."""
        for task, runtime in ended:
            recent = self._recent.get(task)
            if recent is None:
                recent = self._recent[task] = deque(maxlen=_REMEMBERED)
            recent.append(runtime)
            batch, seen = self._batches.get(task, (1, 0))
            # One that took longer than a batch allows for counts at once, all others together.
            if batch == 1 or runtime * batch > BATCH_S or seen >= _TOGETHER:
                self._batches.pop(task, None)
            else:
                self._batches[task] = (batch, seen + 1)

    def batch(self, task: str) -> int:
        """How many of `task` make about 5 ms of work."""
        known = self._batches.get(task)
        if known is not None:
            return known[0]
        recent = self._recent.get(task)
        batch = 1 if not recent else max(1, min(BATCH_MOST, int(BATCH_S / max(percentile_90(recent), 1e-6))))
        self._batches[task] = (batch, 0)
        return batch

    def fits(self, batch: int, task: str) -> bool:
        """Whether `task` may be one of a batch of so many of another: it must be known, and as short."""
        return batch > 1 and self.batch(task) >= batch
