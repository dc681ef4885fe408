"""How long each task usually takes, and so how many of it a child may be given at once (pure)."""

from collections import deque
from collections.abc import Iterable

from celery_rs.worker.window import percentile_90

BATCH_S = 0.005
"""A child is given about this much work at once, in seconds."""
BATCH_MOST = 128
_REMEMBERED = 64


class Runtimes:
    """Recent runtimes by task name; a task that is not known yet goes one at a time."""

    def __init__(self) -> None:
        self._recent: dict[str, deque[float]] = {}
        self._batches: dict[str, int] = {}

    def observe(self, ended: Iterable[tuple[str, float]]) -> None:
        """Learn from finished tasks: names, and seconds each."""
        for task, runtime in ended:
            recent = self._recent.get(task)
            if recent is None:
                recent = self._recent[task] = deque(maxlen=_REMEMBERED)
            recent.append(runtime)
            self._batches.pop(task, None)

    def batch(self, task: str) -> int:
        """How many of `task` make about 5 ms of work."""
        batch = self._batches.get(task)
        if batch is None:
            recent = self._recent.get(task)
            batch = 1 if not recent else max(1, min(BATCH_MOST, int(BATCH_S / max(percentile_90(recent), 1e-6))))
            self._batches[task] = batch
        return batch
