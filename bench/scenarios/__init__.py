"""What is asked."""

from bench.scenarios import collected, delay, drain, idle, long_among_short, round_trip, start
from bench.scenarios.base import Effort, Measured, Scenario, Stage

__all__ = ["SCENARIOS", "Effort", "Measured", "Scenario", "Stage"]

_ALL = (
    delay.SCENARIO,
    drain.SHORT,
    drain.LONG,
    collected.SCENARIO,
    round_trip.SCENARIO,
    start.SCENARIO,
    idle.SCENARIO,
    long_among_short.SCENARIO,
)
SCENARIOS: dict[str, Scenario] = {scenario.name: scenario for scenario in _ALL}
