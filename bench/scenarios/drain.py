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
from bench.scenarios.base import BROKER, START, WORKER, Measured, Scenario, Stage

RATE = Figure("rate", "tasks", "/s", "higher")


def run(stage: Stage) -> Measured:
    """The no-op."""
    return drain(stage)


def drain(stage: Stage, **work: object) -> Measured:
    """Fill, start, watch. `work` names the task and its arguments where it is not the no-op.

    Tasks that take their time are counted from the first one's start to the last one's end.
    """
    limit = stage.effort.limit
    with _filled(stage, work) as (calls, read_last), stage.worker() as worker:
        first = stage.first(worker)
        cpu, broker = worker.cpu(), stage.broker_cpu()
        last = stage.wait(worker, lambda seen: seen.tasks >= calls, limit)
        spent = stage.settled_cpu(worker) - cpu
        broker_spent = stage.broker_cpu() - broker
        if last.tasks < 2 or last.first is None or last.last is None:
            raise ContestantError(f"only one task ran within {limit:g} s: {worker.last_words()}")
        if stage.results and last.tasks >= calls:
            read_last()
    notes = []
    if calls < stage.tasks:
        notes.append(f"only some were enqueued within {limit:g} s")
    if last.tasks < calls:
        notes.append(f"cut short after {limit:g} s")
    whole = last.tasks if work else last.tasks - 1
    measured = max(1, last.tasks - first.tasks)
    values = {
        "rate": whole / ((last.last - last.first) / 1e9),
        "tasks": last.tasks,
        "cpu": spent / measured * 1e6,
        **stage.broker_figure(broker_spent, measured),
    }
    return Measured(values, tuple(notes))


@contextmanager
def _filled(stage: Stage, work: dict[str, object]) -> Iterator[tuple[int, Callable[[], object]]]:
    """How many tasks the queue has got, and what reads the last one's result."""
    if stage.results and stage.contestant.caller_stays:
        with stage.staying_client("enqueue", calls=stage.tasks, stay=True, **work) as (filled, goes_on):
            yield filled["calls"], goes_on
    else:
        filled = stage.client("enqueue", calls=stage.tasks, **work)
        yield filled["calls"], lambda: stage.client("result", task_id=filled["id"], limit=START)


def _with(name: str, tasks: int, length: str) -> Scenario:
    return Scenario(
        name=name,
        question=f"how fast does a worker (2 processes) drain {length} queue of no-op tasks?",
        tasks=tasks,
        results=(False, True),
        figures=(RATE, WORKER, BROKER, Figure("tasks", "tasks run", "", "higher")),
        run=run,
    )


SHORT = _with("drain_short", 1_000, "a short")
LONG = _with("drain", 40_000, "a long")
