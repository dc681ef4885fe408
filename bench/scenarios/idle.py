"""A worker with nothing to do."""

import time

from bench.report import Figure
from bench.scenarios.base import Measured, Scenario, Stage

_CALM = 2.0


def run(stage: Stage) -> Measured:
    """After one task and two calm seconds."""
    with stage.worker() as worker:
        stage.warm_up(worker)
        time.sleep(_CALM)
        before, began = worker.cpu(), time.monotonic()
        time.sleep(stage.effort.idle)
        share = (worker.cpu() - before) / (time.monotonic() - began)
        return Measured({"cpu": share * 100, "pss": worker.pss(), "processes": len(worker.family())})


SCENARIO = Scenario(
    name="idle",
    question="what does an idle worker (2 processes) cost?",
    tasks=None,
    results=(False,),
    figures=(
        Figure("pss", "memory (PSS)", "MiB", "lower"),
        Figure("cpu", "CPU of all its processes", "% of a core", "lower"),
        Figure("processes", "processes", "", "lower"),
    ),
    run=run,
)
