"""When to receive again, where messages come one by one into a worker at work (pure).

Each alone would cost as many wake-ups of threads, children and broker as a hundred do together, so they are let
gather: for a moment, and longer where several come at a time and nobody waits for what comes of them.
"""

from math import inf

AWAITED_S = 0.001
UNAWAITED_S = 0.008


class Gathering:
    """`until` is when the present one ends, by the monotonic clock; `awaited` whether somebody waits for results."""

    def __init__(self, *, pushed: bool) -> None:
        """From a broker that pushes few at a time may be the beginning of many: it is never long."""
        self.until = -inf
        self.awaited = True
        self._pushed = pushed
        self._streaming = False

    def received(self, count: int, asked: int, now: float) -> None:
        """So many came at `now`; where more had been asked for, there are no more for the moment."""
        if 0 < count < asked:
            self._streaming = count > 1
            brief = self.awaited or self._pushed or not self._streaming
            self.until = now + (AWAITED_S if brief else UNAWAITED_S)

    def goes_on(self, in_hand: int, now: float) -> bool:
        """While there is work, or where several came together: then more are likely to follow."""
        return now < self.until and (in_hand > 0 or self._streaming)
