"""What is asked."""

from bench.scenarios import delay, drain, idle, long_among_short, round_trip, start
from bench.scenarios.base import Effort, Measured, Scenario, Stage

__all__ = ["SCENARIOS", "Effort", "Measured", "Scenario", "Stage"]

SCENARIOS: dict[str, Scenario] = {
    module.SCENARIO.name: module.SCENARIO for module in (delay, drain, round_trip, start, idle, long_among_short)
}
