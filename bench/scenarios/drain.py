"""A full queue, then a worker: how fast it gets empty.

From the first task's start to the last one's, as the tasks themselves mark it, so the worker's start-up is outside.
With results stored, the last one is read back: who skips the work does not get a figure. Where results are sent to the
caller alone, it stays, and reads nothing while the worker is watched.

Asked with a short and with a long queue, since a broker may get slower with every message that waits.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bench.contestants import ContestantError
from bench.report import Figure
from bench.scenarios.base import Measured, Scenario, Stage


def run(stage: Stage) -> Measured:
    """Fill, start, watch."""
    limit = stage.effort.limit
    with _filled(stage) as (calls, read_last), stage.worker() as worker:
        first = stage.wait(worker, lambda seen: seen.tasks > 0, limit)
        cpu, broker = worker.cpu(), stage.broker_cpu()
        last = stage.wait(worker, lambda seen: seen.tasks >= calls, limit)
        spent = stage.settled_cpu(worker) - cpu
        broker_spent = stage.broker_cpu() - broker
        if last.tasks < 2 or last.first is None or last.last is None:
            raise ContestantError(f"no tasks ran within {limit:g} s: {worker.last_words()}")
        if stage.results and last.tasks >= calls:
            read_last()
    notes = []
    if calls < stage.tasks:
        notes.append(f"only {calls:,} tasks were enqueued within {limit:g} s")
    if last.tasks < calls:
        notes.append(f"cut short after {limit:g} s")
    rate = (last.tasks - 1) / ((last.last - last.first) / 1e9)
    measured = max(1, last.tasks - first.tasks)
    values = {"rate": rate, "cpu": spent / measured * 1e6, "tasks": last.tasks}
    return Measured({**values, **stage.broker_figure(broker_spent, measured)}, tuple(notes))


@contextmanager
def _filled(stage: Stage) -> Iterator[tuple[int, Callable[[], object]]]:
    """How many tasks the queue has got, and what reads the last one's result."""
    limit = stage.effort.limit
    if stage.results and stage.contestant.caller_stays:
        with stage.staying_client("enqueue_and_stay", stage.tasks, limit) as (filled, goes_on):
            yield filled["calls"], goes_on
    else:
        filled = stage.client("enqueue", stage.tasks, limit)
        yield filled["calls"], lambda: stage.client("result", filled["last"], limit)


def _with(name: str, tasks: int, length: str) -> Scenario:
    return Scenario(
        name=name,
        question=f"how fast does a worker (prefork, 2 processes) drain {length} queue of no-op tasks?",
        tasks=tasks,
        results=(False, True),
        figures=(
            Figure("rate", "tasks", "/s", "higher"),
            Figure("cpu", "worker CPU with children", "us/task", "lower"),
            Figure("broker", "broker CPU", "us/task", "lower"),
        ),
        run=run,
    )


SHORT = _with("drain_short", 1_000, "a short")
LONG = _with("drain", 40_000, "a long")
