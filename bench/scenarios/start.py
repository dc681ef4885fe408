"""A task waits; a worker is started."""

from bench.report import Figure
from bench.scenarios.base import Measured, Scenario, Stage


def run(stage: Stage) -> Measured:
    """From the spawn of the process to the mark of the task."""
    stage.client("enqueue", calls=1)
    with stage.worker() as worker:
        seen = stage.first(worker)
        assert seen.first is not None
        return Measured({"first": (seen.first - worker.started) / 1e6})


SCENARIO = Scenario(
    name="start",
    question="how long from starting a worker to the first task's run?",
    tasks=None,
    results=(False,),
    figures=(Figure("first", "until the first task", "ms", "lower"),),
    run=run,
)
