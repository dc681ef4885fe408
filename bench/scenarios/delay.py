"""One producer sends tasks, one by one or in bulk; no worker runs."""

import time
from collections.abc import Mapping
from typing import Any

from bench.report import Figure, percentile
from bench.scenarios.base import Measured, Scenario, Stage

_SETTLE = 0.3
_ROUTES = {
    "task_routes": {
        **{f"project.app{number}.tasks.*": {"queue": f"queue{number}"} for number in range(999)},
        "bench.*": {"queue": "celery"},
    }
}


def one_by_one(stage: Stage) -> Measured:
    """`delay()` in a row."""
    values, seen, notes = _send(stage, "delay")
    return Measured({**values, "p50": percentile(seen["each"], 0.5), "p99": percentile(seen["each"], 0.99)}, notes)


def through_routes(stage: Stage) -> Measured:
    """The same, where the last of a thousand globs is the one that matches."""
    return one_by_one(stage.anew(settings=_ROUTES))


def in_bulk(stage: Stage) -> Measured:
    """Each contestant's best way."""
    values, _, notes = _send(stage, "bulk")
    return Measured(values, notes)


def _send(stage: Stage, job: str) -> tuple[dict[str, float], Mapping[str, Any], tuple[str, ...]]:
    """The client times itself, after a warm-up; the broker's CPU is told for all calls, with its end of them."""
    before = stage.broker_cpu()
    seen = stage.client(job, calls=stage.tasks)
    if stage.broker is not None:
        time.sleep(_SETTLE)  # what was not confirmed is still on its way through the broker
    broker = stage.broker_cpu() - before
    values = {
        "rate": seen["calls"] / seen["seconds"],
        "cpu": seen["cpu"] / seen["calls"] * 1e6,
        **stage.broker_figure(broker, seen["calls"] + seen["warm_up"]),
    }
    cut = seen["calls"] < stage.tasks
    return values, seen, (f"cut short after {stage.effort.limit:g} s",) if cut else ()


_CLIENT = Figure("cpu", "client CPU", "us/call", "lower")
_BROKER = Figure("broker", "broker CPU", "us/call", "lower")
_ONE_BY_ONE = (
    Figure("rate", "delay()", "/s", "higher"),
    Figure("p50", "p50", "us", "lower"),
    Figure("p99", "p99", "us", "lower"),
    _CLIENT,
    _BROKER,
)

SCENARIO = Scenario(
    name="delay",
    question="how fast does one producer call delay()?",
    tasks=10_000,
    results=(False,),
    figures=_ONE_BY_ONE,
    run=one_by_one,
)
ROUTED = Scenario(
    name="delay_routed",
    question="how fast does one producer call delay() when the last of 1,000 globs is the task's route?",
    tasks=10_000,
    results=(False,),
    figures=_ONE_BY_ONE,
    run=through_routes,
    needs=frozenset({"routes"}),
)
BULK = Scenario(
    name="bulk",
    question="how fast does one producer send many tasks at once?",
    tasks=50_000,
    results=(False,),
    figures=(Figure("rate", "tasks sent", "/s", "higher"), _CLIENT, _BROKER),
    run=in_bulk,
    needs=frozenset({"bulk"}),
)
