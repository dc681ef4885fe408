"""When to try again after a failure (pure but for the jitter, which can be given)."""

import random
from collections.abc import Callable


class Backoff:
    """Doubling delays from `first` to `most` seconds, each shortened by up to a half so that a fleet spreads out."""

    def __init__(self, first: float = 0.1, most: float = 10.0, *, jitter: Callable[[], float] = random.random) -> None:
        self._first = first
        self._most = most
        self._jitter = jitter
        self._delay = first

    def next(self) -> float:
        """Seconds to wait before the next try."""
        delay, self._delay = self._delay, min(self._delay * 2, self._most)
        return delay * (1 - self._jitter() / 2)

    def reset(self) -> None:
        """It worked: start over."""
        self._delay = self._first
