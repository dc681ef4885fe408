"""A full queue, then a worker: how fast it gets empty.

From the first task's start to the last one's, as the tasks themselves mark it, so the worker's start-up is outside.
With results stored, the last one is read back: who skips the work does not get a figure.
"""

from bench.contestants import ContestantError
from bench.report import Figure
from bench.scenarios.base import Measured, Scenario, Stage


def run(stage: Stage) -> Measured:
    """Fill, start, watch."""
    limit = stage.effort.limit
    filled = stage.client("enqueue", stage.tasks, limit)
    calls = filled["calls"]
    with stage.worker() as worker:
        first = stage.wait(worker, lambda seen: seen.tasks > 0, limit)
        cpu = worker.cpu()
        last = stage.wait(worker, lambda seen: seen.tasks >= calls, limit)
        spent = stage.settled_cpu(worker) - cpu
        if last.tasks < 2 or last.first is None or last.last is None:
            raise ContestantError(f"no tasks ran within {limit:g} s: {worker.last_words()}")
        if stage.results and last.tasks >= calls:
            stage.client("result", filled["last"], limit)
    notes = []
    if calls < stage.tasks:
        notes.append(f"only {calls:,} tasks were enqueued within {limit:g} s")
    if last.tasks < calls:
        notes.append(f"cut short after {limit:g} s, with some {last.tasks:,} tasks run")
    rate = (last.tasks - 1) / ((last.last - last.first) / 1e9)
    return Measured({"rate": rate, "cpu": spent / max(1, last.tasks - first.tasks) * 1e6}, tuple(notes))


SCENARIO = Scenario(
    name="drain",
    question="how fast does a worker (prefork, 2 processes) drain no-op tasks?",
    tasks=10_000,
    results=(False, True),
    figures=(
        Figure("rate", "tasks", "/s", "higher"),
        Figure("cpu", "worker CPU with children", "us/task", "lower"),
    ),
    run=run,
)
