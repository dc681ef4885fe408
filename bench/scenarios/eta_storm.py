"""Many tasks for a little later, all sent before the first is due: how late do they run, and does none get lost?"""

import time

from bench import marks
from bench.contestants import ContestantError
from bench.report import Figure, percentile
from bench.scenarios.base import WORKER, Measured, Scenario, Stage

_DUE_PER_SECOND = 20_000
_SENT_PER_SECOND = 1_000
"""At least: a few tasks need not wait until the time for sending many is over."""
_EARLY = -1.0


def run(stage: Stage) -> Measured:
    """A worker holds them from the moment they are sent; the spans that they write tell when each was due and ran."""
    limit, calls = stage.effort.limit, stage.tasks
    spread = calls / _DUE_PER_SECOND
    with stage.worker() as worker:
        stage.warm_up(worker)
        cpu = worker.cpu()
        sent = stage.client("storm", calls=calls, limit=min(limit, calls / _SENT_PER_SECOND), spread=spread)
        time.sleep(max(0.0, sent["opens"] - time.monotonic()))
        held = worker.pss()
        warm_up = 1
        stage.wait(worker, lambda seen: seen.tasks >= sent["calls"] + warm_up, spread + limit)
        spent = stage.settled_cpu(worker) - cpu
    late = [(span.ended - span.began) / 1e6 for each in marks.spans(stage.marks) for span in each]
    if not late:
        raise ContestantError(f"no tasks ran within {spread + limit:g} s: {worker.last_words()}")
    values = {
        "p50": percentile(late, 0.5),
        "p99": percentile(late, 0.99),
        "worst": max(late),
        "tasks": len(late),
        "missing": sent["calls"] - len(late),
        "early": sum(each < _EARLY for each in late),
        "held": held,
        "cpu": spent / len(late) * 1e6,
    }
    return Measured(values, (f"only some were sent within {limit:g} s",) if sent["calls"] < calls else ())


SCENARIO = Scenario(
    name="eta_storm",
    question=f"how late do tasks with an ETA run, {_DUE_PER_SECOND:,} of 100,000 being due each second?",
    tasks=100_000,
    results=(False,),
    figures=(
        Figure("p50", "late p50", "ms", "lower"),
        Figure("p99", "late p99", "ms", "lower"),
        Figure("worst", "latest", "ms", "lower"),
        Figure("tasks", "tasks run", "", "higher"),
        Figure("missing", "not run in time", "", "lower"),
        Figure("early", "early", "", "lower"),
        Figure("held", "memory (PSS) before", "MiB", "lower"),
        WORKER,
    ),
    run=run,
    needs=frozenset({"eta"}),
)
