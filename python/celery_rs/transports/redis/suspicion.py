"""Who among those whose lease is over is dead. Pure.

One look is not enough: after a jump of the server's clock, or a pause of it, everybody looks dead until the next
renewals. Two looks half a lease apart must find the same lease ended, and neither may be close to a restart of the
server or of our own connection. `rust/core/tests/protocol` shows what breaks without each of these rules.
"""

from collections.abc import Mapping

CLOSED = 0.0
"""When the lease of a consumer that has closed has ended: no doubt about that one."""


class Suspicion:
    """What one consumer thinks of the others. Times are seconds of the server's clock."""

    def __init__(self, lease_s: float) -> None:
        self._lease_s = lease_s
        self._calm_since: float | None = None
        self._seen: dict[bytes, tuple[float, float]] = {}

    def disturbed(self) -> None:
        """The connection is a new one: also after every restart of the server."""
        self._calm_since = None

    def dead(self, over: Mapping[bytes, float], now: float) -> list[bytes]:
        """Those of `over` (consumer → when its lease ended) that are gone for sure."""
        if self._calm_since is None or now < self._calm_since:
            self._calm_since = now
            self._seen = {}
        closed = [name for name, ended in over.items() if ended == CLOSED]
        if now - self._calm_since < self._lease_s:
            return closed
        self._seen = {name: self._first_seen(name, ended, now) for name, ended in over.items()}
        silent = [
            name for name, (ended, since) in self._seen.items() if ended != CLOSED and now - since >= self._lease_s / 2
        ]
        return closed + silent

    def _first_seen(self, name: bytes, ended: float, now: float) -> tuple[float, float]:
        """When this end of this lease was first seen: a renewal in between starts the count anew."""
        known = self._seen.get(name)
        return known if known is not None and known[0] == ended else (ended, now)
