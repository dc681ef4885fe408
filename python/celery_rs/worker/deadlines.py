"""Soft and hard time limits of what runs (pure). Times are monotonic seconds."""

from collections.abc import Iterable
from typing import Literal, NamedTuple

from celery_rs.transports import Tag
from celery_rs.worker.pools import Running


class Overrun(NamedTuple):
    """A job that has run past a limit of `limit` seconds."""

    tag: Tag
    how: Literal["soft", "hard"]
    limit: float


class Deadlines:
    """The limits of jobs handed to the pool; the clock of each starts when its page says that it runs."""

    def __init__(self) -> None:
        self._limits: dict[Tag, tuple[float | None, float | None]] = {}

    def __len__(self) -> int:
        return len(self._limits)

    def watch(self, tag: Tag, soft: float | None, hard: float | None) -> None:
        if soft is not None or hard is not None:
            self._limits[tag] = (soft, hard)

    def forget(self, tag: Tag) -> None:
        self._limits.pop(tag, None)

    def overrun(self, running: Iterable[Running], now: float) -> list[Overrun]:
        """Each limit that has just been passed, once."""
        over = []
        for job in running:
            soft, hard = self._limits.get(job.tag, (None, None))
            if hard is not None and now >= job.began_at + hard:
                over.append(Overrun(job.tag, "hard", hard))
                del self._limits[job.tag]
            elif soft is not None and now >= job.began_at + soft:
                over.append(Overrun(job.tag, "soft", soft))
                self._limits[job.tag] = (None, hard)
        return over

    def soonest(self, running: Iterable[Running]) -> float | None:
        """When the next limit of what runs will be passed."""
        times = [
            job.began_at + limit for job in running for limit in self._limits.get(job.tag, ()) if limit is not None
        ]
        return min(times, default=None)
