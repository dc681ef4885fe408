"""What a worker's memory becomes: with many tasks held for later, and after many have run."""

import time

from bench.contestants import ContestantError
from bench.processes import Program
from bench.report import Figure
from bench.scenarios.base import Measured, Scenario, Stage

_HOUR = 3600.0
_LOOK_EVERY = 0.5
_GROWTH = 0.01
_CALM_LOOKS = 3


def _settled(worker: Program, limit: float) -> float:
    """The memory in MiB once it has stopped growing, or the time is over."""
    until = time.monotonic() + limit
    seen = [worker.pss()]
    while time.monotonic() < until:
        time.sleep(_LOOK_EVERY)
        seen.append(worker.pss())
        if len(seen) > _CALM_LOOKS and seen[-1] <= seen[-1 - _CALM_LOOKS] * (1 + _GROWTH):
            break
    return seen[-1]


def held(stage: Stage) -> Measured:
    """Tasks that are due in an hour, sent to a worker that is ready."""
    with stage.worker() as worker:
        stage.warm_up(worker)
        idle = _settled(worker, stage.effort.limit)
        calls = stage.client("hold", calls=stage.tasks, seconds=_HOUR)["calls"]
        full = _settled(worker, stage.effort.limit)
    notes = (f"only some were sent within {stage.effort.limit:g} s",) if calls < stage.tasks else ()
    return Measured({"memory": full, "idle": idle, "each": (full - idle) * 1024 / calls, "tasks": calls}, notes)


def after(stage: Stage) -> Measured:
    """No-op tasks, drained while they are sent; the limit holds for sending and for what is left then."""
    limit = stage.effort.limit
    with stage.worker() as worker:
        stage.warm_up(worker)
        idle = _settled(worker, limit)
        calls = stage.client("enqueue", calls=stage.tasks)["calls"]
        seen = stage.wait(worker, lambda seen: seen.tasks > calls, limit)
        memory = _settled(worker, limit)
    if seen.tasks < 2:
        raise ContestantError(f"no tasks ran within {limit:g} s: {worker.last_words()}")
    notes = ("cut short",) if seen.tasks <= stage.tasks else ()
    return Measured({"memory": memory, "idle": idle, "tasks": seen.tasks}, notes)


_IDLE = Figure("idle", "idle", "MiB", "lower")
_TASKS = Figure("tasks", "tasks", "", "higher")

HELD = Scenario(
    name="memory_held",
    question="how much memory (PSS) does a worker (2 processes) take with tasks that are due in an hour?",
    tasks=20_000,
    results=(False,),
    figures=(
        Figure("memory", "with them", "MiB", "lower"),
        _IDLE,
        Figure("each", "each", "KiB", "lower"),
        _TASKS,
    ),
    run=held,
    needs=frozenset({"eta"}),
)
AFTER = Scenario(
    name="memory_after",
    question="how much memory (PSS) does a worker (2 processes) take after many tasks?",
    tasks=200_000,
    results=(False,),
    figures=(Figure("memory", "after them", "MiB", "lower"), _IDLE, _TASKS),
    run=after,
)
