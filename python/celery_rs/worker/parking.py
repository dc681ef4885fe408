"""Jobs that wait in the worker: for an ETA that is seconds away, or for a token of their rate limit (pure).

Parked jobs do not count as in hand, so a slow limit cannot starve its queue; the number parked is bounded
by the dispatcher. Times are monotonic seconds.
"""

from collections.abc import Callable, Iterator
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Generic, TypeVar

J = TypeVar("J")


class Parking(Generic[J]):
    """Jobs by the time at which they may go on; equal times keep their order of arrival."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, str, J]] = []
        self._arrivals = count()

    def __len__(self) -> int:
        return len(self._heap)

    def __iter__(self) -> Iterator[J]:
        return (job for _, _, _, job in sorted(self._heap, key=lambda slot: slot[:2]))

    def hold(self, job: J, *, until: float, lane: str = "") -> None:
        """Keep `job`; `lane` names the rate limit (the task) that it waits for, if that is why."""
        heappush(self._heap, (until, next(self._arrivals), lane, job))

    def due(self, now: float) -> list[J]:
        """Take out what may go on."""
        jobs = []
        while self._heap and self._heap[0][0] <= now:
            jobs.append(heappop(self._heap)[3])
        return jobs

    def soonest(self) -> float | None:
        return self._heap[0][0] if self._heap else None

    def rescale(self, lane: str, factor: float, now: float) -> None:
        """The rate of `lane` changed: what waits for a token waits `factor` times as long from now on."""
        self._heap = [
            (now + (until - now) * factor, arrival, held, job)
            if held == lane and until > now
            else (until, arrival, held, job)
            for until, arrival, held, job in self._heap
        ]
        heapify(self._heap)

    def shrink(self, most: int) -> list[tuple[float, J]]:
        """Take out those whose time comes last, but for `most`; returns them with their times."""
        kept = sorted(self._heap, key=lambda slot: slot[:2])
        self._heap, gone = kept[:most], kept[most:]
        return [(until, job) for until, _, _, job in gone]

    def drop(self, unwanted: Callable[[J], bool]) -> list[tuple[float, J]]:
        """Take these out for good; returns them with their times, soonest first."""
        dropped = sorted((slot for slot in self._heap if unwanted(slot[3])), key=lambda slot: slot[:2])
        if dropped:
            gone = {arrival for _, arrival, _, _ in dropped}
            self._heap = [slot for slot in self._heap if slot[1] not in gone]
            heapify(self._heap)
        return [(until, job) for until, _, _, job in dropped]

    def clear(self) -> list[J]:
        """Take everything out, soonest first."""
        jobs = list(self)
        self._heap.clear()
        return jobs
