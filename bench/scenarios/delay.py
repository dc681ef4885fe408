"""One producer calls `delay()` in a row; no worker runs."""

from bench.report import Figure
from bench.scenarios.base import Measured, Scenario, Stage


def run(stage: Stage) -> Measured:
    """The client times itself, after a warm-up of 200 calls."""
    seen = stage.client("delay", stage.tasks, stage.effort.limit)
    cut = seen["calls"] < stage.tasks
    return Measured(
        {"rate": seen["calls"] / seen["seconds"], "cpu": seen["cpu"] / seen["calls"] * 1e6},
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
    ),
    run=run,
)
