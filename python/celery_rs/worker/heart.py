"""When a worker says that it lives (pure)."""

INTERVAL_S = 2.0


class Heart:
    """Beats every `interval` seconds of the monotonic clock; with None, never."""

    def __init__(self, interval: float | None = INTERVAL_S) -> None:
        self.interval = interval
        self._next: float | None = None

    def due(self) -> float | None:
        """When the next beat is; None before the first, and where there is none."""
        return self._next

    def start(self, now: float) -> None:
        """The first beat was made."""
        if self.interval is not None:
            self._next = now + self.interval

    def beats(self, now: float) -> bool:
        """Whether it is time for a beat; then the next is one interval away, so that none pile up."""
        if self._next is None or self.interval is None or now < self._next:
            return False
        self._next = now + self.interval
        return True
