"""When to replace a child that died, and when to give up (pure).

A child that worked is replaced at once. One that died before it could do anything is replaced ever later:
its successor will most likely die of the same, and forking as fast as they die helps nobody.
"""

from dataclasses import dataclass

FORGET_S = 60.0
_DELAYS = (0.0, 0.05, 0.1, 0.2, 0.5, 1.0)


@dataclass(slots=True)
class Respawn:
    """`patience` is how many children may be stillborn in a row."""

    patience: int
    in_a_row: int = 0
    last: float = float("-inf")

    def worked(self) -> None:
        """A child has finished a task."""
        self.in_a_row = 0

    def delay(self, *, stillborn: bool, now: float) -> float | None:
        """Seconds to wait before the replacement is forked; None: give up."""
        if not stillborn or now - self.last > FORGET_S:
            self.in_a_row = 0
        if not stillborn:
            return 0.0
        self.last = now
        self.in_a_row += 1
        if self.in_a_row >= self.patience:
            return None
        return _DELAYS[min(self.in_a_row, len(_DELAYS)) - 1]
