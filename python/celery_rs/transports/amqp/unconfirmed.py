"""What was published and is not confirmed yet (pure, and guarded: whoever reads the connection hears of confirms)."""

import threading
from collections.abc import Iterable

from celery_rs.errors import OperationalError
from celery_rs.transports.base import Route

Content = tuple[bytes, bytes]
"""Properties and body, as they travel."""


class Ticket:
    """What one call has published: how much of it is open, and what the broker did not take."""

    __slots__ = ("failed", "open", "refused", "returned")

    def __init__(self) -> None:
        self.open = 0
        self.refused = 0
        self.failed: OperationalError | None = None
        self.returned: list[Publish] = []


class Publish:
    """A message on its way. `at` is the monotonic time at which it was last written; `target` is the queue it is for in
    the end, if that is known."""

    __slots__ = ("at", "frames", "returned", "route", "target", "ticket", "tries")

    def __init__(self, frames: bytes, route: Route, target: str | None) -> None:
        self.frames = frames
        self.route = route
        self.target = target
        self.ticket: Ticket | None = None
        self.returned: Content | None = None
        self.at = 0.0
        self.tries = 0

    @property
    def needs(self) -> tuple[str, str | None]:
        """The exchange and, if it is known, the queue that must be there."""
        return self.route.exchange, self.target

    def again(self) -> "Publish":
        """The same, to be tried once more."""
        publish = Publish(self.frames, self.route, self.target)
        publish.ticket = self.ticket
        publish.tries = self.tries + 1
        return publish


class Unconfirmed:
    """By the numbers that the broker counts the publishes of a channel with."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._open: dict[int, Publish] = {}
        self._number = 0
        self._heard = 0.0

    def __len__(self) -> int:
        return len(self._open)

    def add(self, publishes: Iterable[Publish], now: float) -> None:
        """In the order in which they are written."""
        with self._guard:
            for publish in publishes:
                self._number += 1
                publish.at = now
                self._open[self._number] = publish

    def confirm(self, number: int, multiple: bool, now: float) -> list[Publish]:
        """The broker has these now, or says that it does not take them."""
        with self._guard:
            self._heard = now
            if not multiple:
                found = self._open.pop(number, None)
                return [] if found is None else [found]
            settled = []
            for each in self._open:
                if each > number:
                    break
                settled.append(each)
            return [self._open.pop(each) for each in settled]

    def mark_returned(self, properties: bytes, body: bytes) -> None:
        """The broker says of a message that no queue takes it; it confirms it next."""
        with self._guard:
            for publish in self._open.values():
                if publish.returned is None and properties in publish.frames:
                    publish.returned = (properties, body)
                    return

    def withdraw(self, ticket: Ticket) -> None:
        """Publish nothing of this any more."""
        with self._guard:
            self._open = {number: each for number, each in self._open.items() if each.ticket is not ticket}

    def drop(self, publishes: Iterable[Publish]) -> None:
        """The same for these."""
        ids = set(map(id, publishes))
        with self._guard:
            self._open = {number: each for number, each in self._open.items() if id(each) not in ids}

    def all(self) -> list[Publish]:
        """In the order in which they were written."""
        with self._guard:
            return list(self._open.values())

    def take_all(self) -> list[Publish]:
        """Everything, for another channel, which counts from the start."""
        with self._guard:
            publishes = list(self._open.values())
            self._open = {}
            self._number = 0
            return publishes

    def silent_since(self) -> float | None:
        """Since when the broker has owed confirms and sent none, if it owes any: one that is slow is not silent."""
        with self._guard:
            oldest = next((publish.at for publish in self._open.values()), None)
            return None if oldest is None else max(oldest, self._heard)
