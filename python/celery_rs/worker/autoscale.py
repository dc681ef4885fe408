"""How many processes the pool should have (pure).

It grows at once to the number of messages in hand, and shrinks to it when nothing has been received and nothing has
grown for a while: a process costs a fork, an idle one next to nothing. Times are monotonic seconds.
"""

from collections.abc import Mapping

from celery_rs.errors import ImproperlyConfigured

KEEPALIVE_S = 30.0
KEEPALIVE_VARIABLE = "AUTOSCALE_KEEPALIVE"


class Autoscale:
    """Between `least` and `most` processes; both may be changed while the worker runs."""

    def __init__(self, most: int, least: int, keepalive: float = KEEPALIVE_S) -> None:
        self.most = most
        self.least = least
        self.keepalive = keepalive
        self._busy_at = float("-inf")

    def received(self, now: float) -> None:
        """Messages have come."""
        self._busy_at = now

    def size(self, present: int, in_hand: int, now: float) -> int:
        """How many processes there should be, where there are `present` and `in_hand` messages are ready or run."""
        wanted = max(self.least, min(in_hand, self.most))
        if wanted > present:
            self._busy_at = now
            return wanted
        if present > self.most:
            return self.most
        return wanted if now - self._busy_at >= self.keepalive else present

    def describe(self, present: int, in_hand: int) -> dict[str, int]:
        """The `autoscaler` part of `inspect stats`."""
        return {"max": self.most, "min": self.least, "current": present, "qty": in_hand}

    def due(self, present: int, in_hand: int) -> float | None:
        """When the pool may shrink, if nothing else happens; None: it is as small as it should be."""
        return self._busy_at + self.keepalive if present > max(self.least, in_hand) else None


def keepalive(environment: Mapping[str, str]) -> float:
    """Seconds, as AUTOSCALE_KEEPALIVE says. Raises ImproperlyConfigured."""
    given = environment.get(KEEPALIVE_VARIABLE)
    try:
        seconds = KEEPALIVE_S if given is None else float(given)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ImproperlyConfigured(f"{KEEPALIVE_VARIABLE}: expected seconds above 0, got {given!r}")
    return seconds
