"""What a run asks: which scenario of whom, how many tasks, how often. The tables behind `make bench` and its like.

A figure is only worth something beside others of the same run, so a plan names everybody whose figures are to be
compared; and a run that nobody has the time for is repeated by nobody, so each plan says what it may take.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from bench.contestants import CONTESTANTS
from bench.scenarios import SCENARIOS, Effort


@dataclass(frozen=True, slots=True)
class Entry:
    """One scenario, asked of some contestants, several times."""

    scenario: str
    contestants: tuple[str, ...]
    once: tuple[str, ...] = ()
    """Others, asked in the first round only."""
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
    minutes: float
    """What it takes on two cores, about; after that no round is begun."""
    entries: tuple[Entry, ...]


def settings_of_results(entry: Entry) -> tuple[bool, ...]:
    """Under which settings of results it is asked: each is a section of its own."""
    offered = SCENARIOS[entry.scenario].results
    return offered if entry.results is None else tuple(each for each in offered if each in entry.results)


def turns(parts: Sequence[tuple[Sequence[str], Sequence[str], int]]) -> Iterator[Turn]:
    """Whose turn it is, in parts that are each (contestants, those asked once, rounds).

    The first round of all parts, then the second: who stops early has a whole report. In each, contestants alternate,
    every second time backwards, so that a machine that warms up or slows down does so for all of them.
    """
    for turn in range(max((repeat for *_, repeat in parts), default=0)):
        for at, (contestants, once, repeat) in enumerate(parts):
            if turn < repeat:
                asked = contestants if turn else [*contestants, *once]
                for contestant in reversed(asked) if turn % 2 else asked:
                    yield Turn(at, contestant, turn)


_OURS = ("celery-rs-redis", "celery-rs-rabbitmq", "celery-rs-sqlite")
_MAIN = (
    "celery-rs-redis",
    "celery-redis",
    "cauli",
    "celery-rs-rabbitmq",
    "celery-rabbitmq",
    "celery-rs-sqlite",
    "taskito",
    "huey-sqlite",
)
_PEERS = ("dramatiq-redis", "huey-redis", "rq", "taskiq", "arq", "saq", "flexiq")
_SIGNALS = ("celery-rs-redis-signals", "celery-redis-signals")
_OTHERS = (*_SIGNALS, *_PEERS)
_PAIRS = ("celery-rs-redis", "celery-redis", "cauli", "celery-rs-sqlite", "taskito")
_COROUTINES = ("taskiq", "arq", "saq")


def _effort(tasks: int | None = None, limit: float = 2.0) -> Effort:
    return Effort(tasks, limit, idle=3.0, long=2.0)


_REPORT = (
    Entry("delay", _MAIN, _OTHERS, effort=_effort(10_000)),
    Entry("bulk", _MAIN, _OTHERS, effort=_effort(40_000)),
    Entry("drain", _MAIN, _OTHERS, effort=_effort(40_000), results=(False,)),
    Entry("drain", _MAIN, _OTHERS, effort=_effort(40_000), results=(True,)),
    Entry("collected", _MAIN, _PEERS, effort=_effort(10_000, limit=3.0)),
    Entry("round_trip", _MAIN, _PEERS, effort=_effort(300)),
    Entry("start", _MAIN, _PEERS, effort=_effort(limit=10.0)),
    Entry("idle", _MAIN, _PEERS, repeat=1, effort=_effort(limit=10.0)),
    Entry("echo_1k", _MAIN, repeat=1, effort=_effort(5_000)),
    Entry("echo_100k", _MAIN, repeat=1, effort=_effort(500)),
    Entry("burn_1ms", _PAIRS, repeat=1, effort=_effort(4_000)),
    Entry("burn_100ms", _PAIRS, repeat=1, effort=_effort(40)),
    Entry("sleep", (*_PAIRS, *_COROUTINES), repeat=1, effort=_effort(10_000)),
    Entry("long_among_short", _PAIRS[:2], repeat=1, effort=_effort(2_000)),
    Entry("delay_routed", _PAIRS[:2], repeat=1, effort=_effort(10_000)),
    Entry("rate_limited", ("celery-rs-redis", "celery-redis", *_OURS[1:]), repeat=1, effort=_effort(4_000, limit=6.0)),
    Entry("eta_storm", _MAIN, repeat=1, effort=_effort(100_000, limit=5.0)),
    Entry("memory_held", _PAIRS, repeat=1, effort=_effort(20_000, limit=5.0)),
    Entry("memory_after", _PAIRS, repeat=1, effort=_effort(200_000, limit=8.0)),
    Entry("scale_queues", _OURS, effort=_effort(30_000, limit=10.0)),
    Entry("scale_names", _OURS, effort=_effort(30_000, limit=10.0)),
    Entry("scale_queued", _OURS, effort=_effort(1_000_000, limit=130.0)),
)
_QUICK = tuple(
    Entry(scenario, ("celery-rs-redis", "celery-redis", "celery-rs-sqlite"), effort=_effort(limit=3.0))
    for scenario in ("delay", "bulk", "drain", "collected", "round_trip", "start", "idle")
)
_ALL = tuple(Entry(scenario, tuple(CONTESTANTS)) for scenario in SCENARIOS)

PLANS: dict[str, Plan] = {
    "quick": Plan("celery-rs beside Celery, on Redis and without a server", 5, _QUICK),
    "report": Plan("every scenario, everybody once, the nearest peers three times", 50, _REPORT),
    "all": Plan("every scenario, everybody three times, ten seconds for each stretch of work", 480, _ALL),
}
