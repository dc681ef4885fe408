"""A worker that is ready and one client: it calls `delay()` in a row, then collects every result."""

from collections.abc import Callable

from bench.contestants import ContestantError
from bench.report import Figure
from bench.scenarios.base import BROKER, WORKER, Measured, Scenario, Stage


def _collecting(size: int) -> Callable[[Stage], Measured]:
    """The client times itself, from its first call to its last result."""

    def run(stage: Stage) -> Measured:
        limit = stage.effort.limit
        with stage.worker() as worker:
            stage.warm_up(worker)
            cpu, broker = worker.cpu(), stage.broker_cpu()
            seen = stage.client("collect", calls=stage.tasks, size=size)
            spent = stage.settled_cpu(worker) - cpu
            broker_spent = stage.broker_cpu() - broker
        collected = seen["collected"]
        if not collected:
            raise ContestantError(f"no result came within {limit:g} s: {worker.last_words()}")
        return Measured(
            {
                "rate": collected / seen["seconds"],
                "tasks": collected,
                "client": seen["cpu"] / collected * 1e6,
                "cpu": spent / collected * 1e6,
                **stage.broker_figure(broker_spent, collected),
            },
            (f"cut short after {limit:g} s",) if collected < stage.tasks else (),
        )

    return run


def _scenario(name: str, question: str, tasks: int, size: int) -> Scenario:
    return Scenario(
        name=name,
        question=question,
        tasks=tasks,
        results=(True,),
        figures=(
            Figure("rate", "results", "/s", "higher"),
            Figure("client", "client CPU", "us/task", "lower"),
            WORKER,
            BROKER,
            Figure("tasks", "results", "", "higher"),
        ),
        run=_collecting(size),
    )


SCENARIO = _scenario(
    "collected", "how fast does one client send no-op tasks and collect all their results (2 processes)?", 5_000, 0
)
ECHO_1K = _scenario("echo_1k", "the same with 1 KB that comes back", 5_000, 1_000)
ECHO_100K = _scenario("echo_100k", "the same with 100 KB that come back", 500, 100_000)
