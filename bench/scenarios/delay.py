"""One producer calls `delay()` in a row; no worker runs."""

import time

from bench.report import Figure
from bench.scenarios.base import Measured, Scenario, Stage

_SETTLE = 0.3


def run(stage: Stage) -> Measured:
    """The client times itself, after a warm-up; the broker's CPU is told for all calls, with its end of them."""
    before = stage.broker_cpu()
    seen = stage.client("delay", stage.tasks, stage.effort.limit)
    if stage.broker is not None:
        time.sleep(_SETTLE)  # what was not confirmed is still on its way through the broker
    broker = stage.broker_cpu() - before
    cut = seen["calls"] < stage.tasks
    return Measured(
        {
            "rate": seen["calls"] / seen["seconds"],
            "cpu": seen["cpu"] / seen["calls"] * 1e6,
            **stage.broker_figure(broker, seen["calls"] + seen["warm_up"]),
        },
        (f"cut short after {stage.effort.limit:g} s",) if cut else (),
    )


SCENARIO = Scenario(
    name="delay",
    question="how fast does one producer call delay()?",
    tasks=10_000,
    results=(False,),
    figures=(
        Figure("rate", "delay()", "/s", "higher"),
        Figure("cpu", "client CPU", "us/call", "lower"),
        Figure("broker", "broker CPU", "us/call", "lower"),
    ),
    run=run,
)
