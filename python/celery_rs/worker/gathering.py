"""When to receive again, where messages come one by one into a worker at work (pure).

Each alone would cost as many wake-ups of threads, children and broker as a hundred do together, so they are let
gather: for a moment where somebody waits for what comes of them, longer where nobody does.
"""

from math import inf

AWAITED_S = 0.001
UNAWAITED_S = 0.008


class Gathering:
    """`until` is when the present one ends, by the monotonic clock; `awaited` whether somebody waits for results."""

    def __init__(self) -> None:
        self.until = -inf
        self.awaited = True
        self._streaming = False

    def received(self, count: int, asked: int, now: float) -> None:
        """So many came at `now`; where more had been asked for, there are no more for the moment."""
        if 0 < count < asked:
            self.until = now + (AWAITED_S if self.awaited else UNAWAITED_S)
            self._streaming = count > 1

    def goes_on(self, in_hand: int, now: float) -> bool:
        """While there is work, or where several came together: then more are likely to follow."""
        return now < self.until and (in_hand > 0 or self._streaming)
