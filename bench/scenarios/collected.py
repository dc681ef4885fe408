"""A worker that is ready and one client: it calls `delay()` in a row, then collects every result."""

from bench.contestants import ContestantError
from bench.report import Figure
from bench.scenarios.base import Measured, Scenario, Stage


def run(stage: Stage) -> Measured:
    """The client times itself, from its first call to its last result."""
    limit = stage.effort.limit
    with stage.worker() as worker:
        stage.warm_up(worker)
        cpu, broker = worker.cpu(), stage.broker_cpu()
        seen = stage.client("collect", stage.tasks, limit)
        spent = stage.settled_cpu(worker) - cpu
        broker_spent = stage.broker_cpu() - broker
    collected = seen["collected"]
    if not collected:
        raise ContestantError(f"no result came within {limit:g} s: {worker.last_words()}")
    return Measured(
        {
            "rate": collected / seen["seconds"],
            "client": seen["cpu"] / collected * 1e6,
            "worker": spent / collected * 1e6,
            **stage.broker_figure(broker_spent, collected),
        },
        (f"cut short after {limit:g} s: {collected:,} results",) if collected < stage.tasks else (),
    )


SCENARIO = Scenario(
    name="collected",
    question="how fast does one client send tasks and collect all their results (prefork, 2 processes)?",
    tasks=5_000,
    results=(True,),
    figures=(
        Figure("rate", "results", "/s", "higher"),
        Figure("client", "client CPU", "us/task", "lower"),
        Figure("worker", "worker CPU with children", "us/task", "lower"),
        Figure("broker", "broker CPU", "us/task", "lower"),
    ),
    run=run,
)
