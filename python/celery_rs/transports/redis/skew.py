"""Seconds to add to the server's clock: none, but where a test lets time pass."""

from collections.abc import Callable

Skew = Callable[[], float]


def none() -> float:
    return 0.0
