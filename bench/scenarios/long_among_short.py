"""One long call among many short ones of the same task, on two processes: does a short one wait behind the long one?

All calls are enqueued beforehand, so until the last short one starts there is always a short one waiting. Hence the
question can be read off the processes alone: whenever one of them does nothing before that moment, a short call waits
although a process is free. The figure is the longest such stretch, from the spans that the tasks write.
"""

from collections.abc import Sequence

from bench import marks
from bench.contestants import ContestantError
from bench.marks import Span
from bench.report import Figure
from bench.scenarios.base import Measured, Scenario, Stage

_SHORT = 0.001


def longest_free_wait(processes: Sequence[Sequence[Span]], long: int) -> int:
    """The longest stretch (ns) in which a process was free while a call shorter than `long` (ns) had yet to start."""
    shorts = [span.began for spans in processes for span in spans if span.ended - span.began < long]
    everything = [span for spans in processes for span in spans]
    if not shorts:
        return 0
    opened, closed = min(span.began for span in everything), max(shorts)
    worst = 0
    for spans in processes:
        free_since = opened
        for began, ended in sorted(spans):
            worst = max(worst, min(began, closed) - free_since)
            free_since = max(free_since, ended)
        worst = max(worst, closed - free_since)
    return worst


def run(stage: Stage) -> Measured:
    """Fill, start, wait for all, read the spans."""
    long, limit = stage.effort.long, stage.effort.limit
    calls = stage.client("naps", calls=stage.tasks, short=_SHORT, long=long)["calls"]
    patience = limit + long + stage.tasks * _SHORT
    with stage.worker() as worker:
        seen = stage.wait(worker, lambda seen: seen.tasks >= calls, patience)
        words = worker.last_words()
    processes = marks.spans(stage.marks)
    if seen.tasks < 2:
        raise ContestantError(f"no tasks ran within {patience:g} s: {words}")
    spans = [span for each in processes for span in each]
    if not any(span.ended - span.began >= long * 1e9 for span in spans):
        raise ContestantError(f"the long call did not end within {patience:g} s, with {seen.tasks:,} tasks run")
    notes = []
    if calls < stage.tasks:
        notes.append(f"only {calls:,} tasks were enqueued within {limit:g} s")
    if seen.tasks < calls:
        notes.append(f"cut short after {patience:g} s, with {seen.tasks:,} of {calls:,} tasks run")
    whole = max(span.ended for span in spans) - min(span.began for span in spans)
    free = longest_free_wait(processes, int(long * 1e9))
    return Measured({"wait": free / 1e6, "whole": whole / 1e9}, tuple(notes))


SCENARIO = Scenario(
    name="long_among_short",
    question="how long does a 1 ms call wait, behind a long one of the same task, while a process is free?",
    tasks=10_000,
    results=(False,),
    figures=(
        Figure("wait", "longest wait while a process is free", "ms", "lower"),
        Figure("whole", "first start to last end", "s", "lower"),
    ),
    run=run,
)
