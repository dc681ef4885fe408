"""A queue of tasks that do something: burn CPU, or sleep. How much of the two processes' time is theirs?"""

from collections.abc import Callable

from bench.contestants import CONCURRENCY
from bench.report import Figure
from bench.scenarios.base import BROKER, Measured, Scenario, Stage
from bench.scenarios.drain import RATE, drain

_SHARE = Figure("share", f"of {CONCURRENCY} processes' time", "%", "higher")


def _burning(seconds: float) -> Callable[[Stage], Measured]:
    def run(stage: Stage) -> Measured:
        measured = drain(stage, task="burn", args=[seconds])
        values = measured.values
        return Measured(
            {**values, **_share(values["rate"], seconds), "cpu": values["cpu"] - seconds * 1e6}, measured.notes
        )

    return run


def _sleeping(seconds: float) -> Callable[[Stage], Measured]:
    def run(stage: Stage) -> Measured:
        measured = drain(stage, task="nap", args=[seconds])
        return Measured({**measured.values, **_share(measured.values["rate"], seconds)}, measured.notes)

    return run


def _share(rate: float, seconds: float) -> dict[str, float]:
    return {"share": rate * seconds / CONCURRENCY * 100}


def _scenario(name: str, does: str, tasks: int, run: Callable[[Stage], Measured]) -> Scenario:
    return Scenario(
        name=name,
        question=f"how fast does a worker (2 processes) run tasks that {does}?",
        tasks=tasks,
        results=(False,),
        figures=(RATE, _SHARE, Figure("cpu", "worker CPU besides", "us/task", "lower"), BROKER),
        run=run,
    )


BURN_1MS = _scenario("burn_1ms", "need 1 ms of CPU", 5_000, _burning(0.001))
BURN_100MS = _scenario("burn_100ms", "need 100 ms of CPU", 60, _burning(0.1))
SLEEP = _scenario("sleep", "sleep for 100 ms", 10_000, _sleeping(0.1))
