"""A task waits; a worker is started."""

from bench.contestants import ContestantError
from bench.report import Figure
from bench.scenarios.base import Measured, Scenario, Stage


def run(stage: Stage) -> Measured:
    """From the spawn of the process to the mark of the task."""
    stage.client("enqueue", calls=1)
    with stage.worker() as worker:
        seen = stage.wait(worker, lambda seen: seen.tasks > 0, stage.effort.limit)
        if seen.first is None:
            raise ContestantError(f"no task ran within {stage.effort.limit:g} s: {worker.last_words()}")
        return Measured({"first": (seen.first - worker.started) / 1e6})


SCENARIO = Scenario(
    name="start",
    question="how long from starting a worker to the first task's run?",
    tasks=None,
    results=(False,),
    figures=(Figure("first", "until the first task", "ms", "lower"),),
    run=run,
)
