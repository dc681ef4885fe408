"""An idle worker and one client: `delay().get()`, one after the other."""

from bench.report import Figure, percentile
from bench.scenarios.base import Measured, Scenario, Stage

_PAUSE = 0.002


def run(stage: Stage) -> Measured:
    """Both paces against the same worker, in two client processes."""
    values: dict[str, float] = {}
    notes: list[str] = []
    limit = stage.effort.limit / 2
    with stage.worker() as worker:
        stage.warm_up(worker)
        for pace, pause in (("busy", 0.0), ("paused", _PAUSE)):
            seen = stage.client("round_trips", calls=stage.tasks, limit=limit, pause=pause)
            values[f"{pace}_p50"] = percentile(seen["answered"], 0.5)
            values[f"{pace}_p99"] = percentile(seen["answered"], 0.99)
            values[f"{pace}_begun"] = percentile(seen["begun"], 0.5)
            values[f"{pace}_client"] = seen["cpu"] / len(seen["answered"]) * 1e6
            if len(seen["answered"]) < stage.tasks:
                notes.append(f"cut short after {limit:g} s at the {pace} pace")
    return Measured(values, tuple(notes))


SCENARIO = Scenario(
    name="round_trip",
    question="delay().get() against an idle worker, back to back and with 2 ms pauses; until the body begins",
    tasks=300,
    results=(True,),
    figures=(
        Figure("busy_p50", "back to back p50", "ms", "lower"),
        Figure("busy_p99", "p99", "ms", "lower"),
        Figure("busy_begun", "to body p50", "ms", "lower"),
        Figure("busy_client", "client CPU", "us/call", "lower"),
        Figure("paused_p50", "paused p50", "ms", "lower"),
        Figure("paused_p99", "p99", "ms", "lower"),
        Figure("paused_begun", "to body p50", "ms", "lower"),
    ),
    run=run,
)
