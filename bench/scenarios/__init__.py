"""What is asked."""

from bench.scenarios import (
    collected,
    delay,
    drain,
    eta_storm,
    idle,
    long_among_short,
    memory,
    rate_limited,
    round_trip,
    scaling,
    start,
    work,
)
from bench.scenarios.base import Effort, Measured, Scenario, Stage

__all__ = ["SCENARIOS", "Effort", "Measured", "Scenario", "Stage"]

_ALL = (
    delay.SCENARIO,
    delay.BULK,
    delay.ROUTED,
    drain.SHORT,
    drain.LONG,
    collected.SCENARIO,
    collected.ECHO_1K,
    collected.ECHO_100K,
    round_trip.SCENARIO,
    work.BURN_1MS,
    work.BURN_100MS,
    work.SLEEP,
    long_among_short.SCENARIO,
    rate_limited.SCENARIO,
    eta_storm.SCENARIO,
    start.SCENARIO,
    idle.SCENARIO,
    memory.HELD,
    memory.AFTER,
    scaling.QUEUED,
    scaling.QUEUES,
    scaling.TASK_NAMES,
)
SCENARIOS: dict[str, Scenario] = {scenario.name: scenario for scenario in _ALL}
