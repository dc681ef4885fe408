"""One question of the table: who does it, and what must come out."""

import json
import statistics
import time
import timeit
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

Step = Callable[[], Any]


class Way(NamedTuple):
    """`step` does it once, or as often as the case says; `value` of what it returns is what all ways must agree on."""

    by: str
    step: Step
    value: Callable[[Any], Any] = lambda got: got


class Case(NamedTuple):
    """The first way is the one that celery-rs takes; `calls` is how many calls a step makes."""

    name: str
    ways: Sequence[Way]
    calls: int = 1


class Contestant(Protocol):
    """One way of one case, wherever it runs."""

    by: str

    def value(self) -> Any:
        """What it says, as JSON has it."""
        ...

    def nanoseconds(self, seconds: float) -> float:
        """CPU time of one call, over about so many seconds."""
        ...


class Here:
    """A way in this process."""

    def __init__(self, way: Way, calls: int) -> None:
        self.by = way.by
        self._way = way
        self._calls = calls
        self._timed = Timed(way.step)

    def value(self) -> Any:
        return json.loads(json.dumps(self._way.value(self._way.step())))

    def nanoseconds(self, seconds: float) -> float:
        return self._timed.nanoseconds(seconds) / self._calls


class Timed:
    """Times a step by the CPU it takes, so that what else runs on the machine counts less."""

    def __init__(self, step: Step) -> None:
        self._timer = timeit.Timer(step, timer=time.process_time)
        self._often = 1

    def nanoseconds(self, seconds: float) -> float:
        """Of one step."""
        while (took := self._timer.timeit(self._often)) < seconds / 2:
            self._often = max(self._often * 2, int(self._often * seconds / max(took, 1e-6)))
        return took / self._often * 1e9


class Figure(NamedTuple):
    """Median nanoseconds of a call; `spread` is half the distance of the middle half of the repeats, as a share of it.
    `ratio` is how many times as long it takes as our way: the median over the repeats."""

    by: str
    ns: float
    spread: float
    ratio: float


def compare(contestants: Sequence[Contestant], repeat: int, seconds: float) -> list[Figure]:
    """In turn, `repeat` times. Raises ValueError where they do not agree."""
    values = [each.value() for each in contestants]
    for each, value in zip(contestants, values, strict=True):
        if value != values[0]:
            raise ValueError(f"{each.by} says {value!r}, {contestants[0].by} says {values[0]!r}")
    rounds = [[each.nanoseconds(seconds) for each in contestants] for _ in range(repeat)]
    return [
        Figure(
            each.by,
            statistics.median(times),
            _spread(times),
            statistics.median(time / row[0] for time, row in zip(times, rounds, strict=True)),
        )
        for each, times in zip(contestants, zip(*rounds, strict=True), strict=True)
    ]


def _spread(times: Sequence[float]) -> float:
    if len(times) < 2:
        return 0.0
    low, _, high = statistics.quantiles(times, n=4, method="inclusive")
    return (high - low) / 2 / statistics.median(times)
