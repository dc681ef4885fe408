"""Does a worker drain as fast from a longer queue, from more queues, with more tasks registered?

One run asks all points of the axis, one after the other, each with a worker of its own.
"""

from collections.abc import Callable, Sequence

from bench.contestants import ContestantError
from bench.inside.tasks import NAMES
from bench.report import Figure
from bench.scenarios.base import Measured, Scenario, Stage

_QUEUED = (10_000, 100_000, 1_000_000)
_QUEUES = (1, 10, 100)
_NAMES = (1, 10, 100, 1_000)


def by_queued(stage: Stage) -> Measured:
    """The points up to the number of tasks; the first at any rate."""
    points = [point for point in _QUEUED if point <= stage.tasks] or [_QUEUED[0]]
    measured = _ask(points, lambda point: _drain(stage.anew(), min(point, stage.tasks)))
    notes = (f"only {stage.tasks:,} tasks",) if stage.tasks < _QUEUED[0] else ()
    return Measured(measured.values, (*measured.notes, *notes))


def by_queues(stage: Stage) -> Measured:
    """The same tasks over more queues, all of them consumed."""

    def run(point: int) -> Measured:
        queues = [f"bench{number}" for number in range(point)]
        return _drain(stage.anew(), stage.tasks, "-Q", ",".join(queues), queues=queues)

    return _ask(_QUEUES, run)


def by_names(stage: Stage) -> Measured:
    """The same tasks under more names."""

    def run(point: int) -> Measured:
        return _drain(stage.anew(variables={NAMES: str(point)}), stage.tasks, names=point)

    return _ask(_NAMES, run)


def _ask(points: Sequence[int], run: Callable[[int], Measured]) -> Measured:
    values: dict[str, float] = {}
    notes: list[str] = []
    for point in points:
        measured = run(point)
        values |= {f"{key}@{point}": value for key, value in measured.values.items()}
        notes += [f"at {point:,}: {note}" for note in measured.notes]
        if measured.notes:
            break  # what is left in the queues would count at the next point
    return Measured(values, tuple(notes))


def _drain(stage: Stage, tasks: int, *options: str, **work: object) -> Measured:
    limit = stage.effort.limit
    calls = stage.client("spread", calls=tasks, **work)["calls"]
    with stage.worker(*options) as worker:
        first = stage.first(worker)
        cpu, broker = worker.cpu(), stage.broker_cpu()
        last = stage.wait(worker, lambda seen: seen.tasks >= calls, limit)
        spent = stage.settled_cpu(worker) - cpu
        broker_spent = stage.broker_cpu() - broker
        if last.tasks < 2 or last.first is None or last.last is None:
            raise ContestantError(f"only one task ran within {limit:g} s: {worker.last_words()}")
    rate = (last.tasks - 1) / ((last.last - last.first) / 1e9)
    notes = [f"only {calls:,} were enqueued within {limit:g} s"] if calls < tasks else []
    if last.tasks < calls:
        notes.append(f"cut short after {limit:g} s")
    ran = max(1, last.tasks - first.tasks)
    costs = {"cpu": spent / ran * 1e6, **stage.broker_figure(broker_spent, ran)}
    return Measured({"rate": rate, **costs}, tuple(notes))


def _scenario(
    name: str, axis: str, tasks: int, points: Sequence[int], run: Callable[[Stage], Measured], needs: frozenset[str]
) -> Scenario:
    rates = (Figure(f"rate@{point}", f"{point:,}", "/s", "higher", at=point) for point in points)
    costs = [
        Figure(f"{key}@{point}", f"{what} CPU at {point:,}", "us/task", "lower")
        for key, what in (("cpu", "worker"), ("broker", "broker"))
        for point in points
    ]
    return Scenario(
        name=name,
        question=f"does a worker (2 processes) drain no-op tasks as fast with more {axis}?",
        tasks=tasks,
        results=(False,),
        figures=(*rates, *costs),
        run=run,
        needs=needs,
        axis=axis,
    )


_CELERYS = frozenset({"routes"})
"""Queues and names are given as Celery's settings and command line have them."""

QUEUED = _scenario("scale_queued", "tasks queued", 1_000_000, _QUEUED, by_queued, frozenset())
QUEUES = _scenario("scale_queues", "queues", 50_000, _QUEUES, by_queues, _CELERYS)
TASK_NAMES = _scenario("scale_names", "task names", 50_000, _NAMES, by_names, _CELERYS)
