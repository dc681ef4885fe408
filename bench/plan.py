"""What a run asks: which scenario of whom, how many tasks, how often. The tables behind `make bench` and its like.

A figure is only worth something beside others of the same run, so a plan names everybody whose figures are to be
compared; and a run that nobody has the time for is repeated by nobody, so each plan says what it may take.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from bench.scenarios import SCENARIOS, Effort


@dataclass(frozen=True, slots=True)
class Entry:
    """One scenario, asked of some contestants, several times."""

    scenario: str
    contestants: tuple[str, ...]
    repeat: int = 3
    effort: Effort = field(default_factory=Effort)
    results: tuple[bool, ...] | None = None
    """Those of the scenario unless told."""


class Turn(NamedTuple):
    """One contestant's turn in one round of one section."""

    section: int
    contestant: str
    turn: int


@dataclass(frozen=True, slots=True)
class Plan:
    """A list of entries, and what they are for."""

    purpose: str
    minutes: int
    """What it takes on two cores, about."""
    entries: tuple[Entry, ...]


def settings_of_results(entry: Entry) -> tuple[bool, ...]:
    """Under which settings of results it is asked: each is a section of its own."""
    offered = SCENARIOS[entry.scenario].results
    return offered if entry.results is None else tuple(each for each in offered if each in entry.results)


def turns(section: int, contestants: Sequence[str], repeat: int) -> Iterator[Turn]:
    """Contestants alternate, and every second round goes backwards.

    So a machine that warms up or slows down does so for all of them.
    """
    for turn in range(repeat):
        for contestant in contestants if turn % 2 == 0 else reversed(contestants):
            yield Turn(section, contestant, turn)


_OURS = ("celery-rs-redis", "celery-rs-rabbitmq", "celery-rs-sqlite")
_REDIS = (
    "celery-rs-redis",
    "celery-redis",
    "cauli",
    "dramatiq-redis",
    "huey-redis",
    "rq",
    "taskiq",
    "arq",
    "saq",
)
_SIGNALS = ("celery-rs-redis-signals", "celery-redis-signals")
_RABBITMQ = ("celery-rs-rabbitmq", "celery-rabbitmq")
_EMBEDDED = ("celery-rs-sqlite", "huey-sqlite", "taskito", "flexiq")
_ALL = (*_REDIS, *_SIGNALS, *_RABBITMQ, *_EMBEDDED)
_FEW = ("celery-rs-redis", "celery-redis", "cauli", "celery-rs-sqlite", "taskito")


def _effort(tasks: int | None = None, limit: float = 3.0, idle: float = 3.0, long: float = 3.0) -> Effort:
    return Effort(tasks, limit, idle, long)


PLANS: dict[str, Plan] = {
    "quick": Plan(
        "celery-rs beside Celery, on Redis and without a server",
        minutes=4,
        entries=tuple(
            Entry(scenario, ("celery-rs-redis", "celery-redis", "celery-rs-sqlite"), 3, _effort(limit=4.0))
            for scenario in ("delay", "bulk", "drain", "collected", "round_trip", "start", "idle")
        ),
    ),
    "report": Plan(
        "the run behind docs/benchmarks: every scenario, everybody",
        minutes=30,
        entries=(
            Entry("delay", _ALL, 3, _effort(10_000)),
            Entry("bulk", _ALL, 3, _effort(40_000, limit=2.0)),
            Entry("delay_routed", ("celery-rs-redis", "celery-redis"), 3, _effort(10_000)),
            Entry("drain", _ALL, 3, _effort(40_000), results=(False,)),
            Entry("drain", _ALL, 3, _effort(40_000), results=(True,)),
            Entry("collected", _ALL, 3, _effort(10_000, limit=4.0)),
            Entry("round_trip", _ALL, 3, _effort(300, limit=2.0)),
            Entry("echo_1k", _ALL, 1, _effort(5_000)),
            Entry("echo_100k", _ALL, 1, _effort(500)),
            Entry("burn_1ms", _ALL, 1, _effort(4_000)),
            Entry("burn_100ms", _ALL, 1, _effort(40)),
            Entry("sleep", _ALL, 1, _effort(10_000, limit=2.0)),
            Entry("long_among_short", ("celery-rs-redis", "celery-redis", "celery-rs-sqlite"), 1, _effort(3_000)),
            Entry("rate_limited", ("celery-rs-redis", "celery-redis", *_OURS[1:]), 1, _effort(4_000, limit=6.0)),
            Entry("eta_storm", _ALL, 1, _effort(100_000, limit=5.0)),
            Entry("start", _ALL, 3, _effort()),
            Entry("idle", _ALL, 1, _effort()),
            Entry("memory_held", _FEW, 1, _effort(20_000, limit=6.0)),
            Entry("memory_after", _FEW, 1, _effort(200_000, limit=10.0)),
            Entry("scale_queued", _OURS, 1, _effort(1_000_000, limit=90.0)),
            Entry("scale_queues", _OURS, 1, _effort(20_000, limit=20.0)),
            Entry("scale_names", _OURS, 1, _effort(20_000, limit=20.0)),
        ),
    ),
}
