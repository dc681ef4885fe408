"""A queue of tasks with a rate limit: how near to it do they run, and what does holding them back cost?"""

import time
from collections.abc import Sequence

from bench import marks
from bench.contestants import ContestantError
from bench.inside.tasks import RATE_LIMIT
from bench.report import Figure
from bench.scenarios.base import BROKER, WORKER, Measured, Scenario, Stage

_PER_SECOND = 1_000
_WINDOW = 0.1


def counts(moments: Sequence[int], window: int) -> list[int]:
    """How many moments lie in each window (ns) from the first on; the last one, which is not whole, is left out."""
    if not moments:
        return []
    opened = min(moments)
    windows = (max(moments) - opened) // window
    found = [0] * windows
    for moment in moments:
        at = (moment - opened) // window
        if at < windows:
            found[at] += 1
    return found


def run(stage: Stage) -> Measured:
    """Fill, start, watch for as long as the limit lets them take, and a little longer."""
    limited = stage.anew(variables={RATE_LIMIT: f"{_PER_SECOND}/s"})
    limit = stage.effort.limit
    calls = limited.client("enqueue", calls=stage.tasks, task="limited", args=[])["calls"]
    with limited.worker() as worker:
        limited.first(worker)
        cpu, broker, began = worker.cpu(), stage.broker_cpu(), time.monotonic()
        limited.wait(worker, lambda seen: seen.tasks >= calls, limit)
        watched = time.monotonic() - began
        spent, broker_spent = worker.cpu() - cpu, stage.broker_cpu() - broker
    moments = [span.began for each in marks.spans(limited.marks) for span in each]
    if len(moments) < 2:
        raise ContestantError(f"no tasks ran within {limit:g} s: {worker.last_words()}")
    values = {
        "rate": (len(moments) - 1) / ((max(moments) - min(moments)) / 1e9),
        "share": spent / watched * 100,
        "cpu": spent / len(moments) * 1e6,
        **stage.broker_figure(broker_spent, len(moments)),
    }
    if windows := counts(moments, int(_WINDOW * 1e9)):
        values |= {"most": max(windows) / _WINDOW, "least": min(windows) / _WINDOW}
    return Measured(values, (f"cut short after {limit:g} s",) if len(moments) < calls else ())


SCENARIO = Scenario(
    name="rate_limited",
    question=f"how near to its rate limit of {_PER_SECOND:,}/s does a task run, also in the worst {_WINDOW:g} s?",
    tasks=5_000,
    results=(False,),
    figures=(
        Figure("rate", "tasks", "/s", "higher"),
        Figure("most", "busiest window", "/s", "lower"),
        Figure("least", "emptiest window", "/s", "higher"),
        Figure("share", "its CPU", "% of a core", "lower"),
        WORKER,
        BROKER,
    ),
    run=run,
    needs=frozenset({"rate_limit"}),
)
