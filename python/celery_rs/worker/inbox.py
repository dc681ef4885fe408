"""Everything that can reach the worker's loop, and the box in which it arrives.

Other threads only ever post; the loop takes. A post wakes the loop through a descriptor that its selector
watches, at most once per turn: the second post of a turn costs no system call.
"""

import os
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from celery_rs.transports import Delivery, Fact, Tags
from celery_rs.wire import ControlRequest
from celery_rs.worker.pools import PoolEvent


class Delivered(NamedTuple):
    """Reserved by the receiver, of so many `asked` for; `lost` are tags of ours that another consumer holds by now."""

    deliveries: Sequence[Delivery]
    lost: Tags
    asked: int


class FactsLearnt(NamedTuple):
    """Durable truths that are new here, oldest first."""

    facts: Sequence[Fact]


class LeasesLost(NamedTuple):
    """Somebody else holds these by now."""

    tags: Tags


class Orphaned(NamedTuple):
    """Begun work of dead workers, held by us now; it is not run again but ends as a failure."""

    deliveries: Sequence[Delivery]


class Settled(NamedTuple):
    """The completer is through with these tags; `lost` are those that were no longer ours.

    `awaited` is false where nobody waits for what came of them, None where that says nothing.
    """

    tags: Tags
    lost: Tags
    awaited: bool | None = None


class Asked(NamedTuple):
    """A remote control request for this worker."""

    request: ControlRequest


class Signalled(NamedTuple):
    """The process got a signal."""

    number: int


class ThreadDied(NamedTuple):
    """One of the worker's own threads has failed, or has given up, or lost what it needs: the worker cannot go on."""

    reason: str


Event = Delivered | FactsLearnt | LeasesLost | Orphaned | Settled | Asked | Signalled | ThreadDied | PoolEvent


class Inbox:
    """Thread-safe; `fileno` becomes readable when something has arrived."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque()
        self._announced = False
        self._readable, self._writable = os.pipe()
        os.set_blocking(self._readable, False)
        os.set_blocking(self._writable, False)

    def fileno(self) -> int:
        return self._readable

    def wakeup_fd(self) -> int:
        """For `signal.set_wakeup_fd`."""
        return self._writable

    def post(self, event: Event) -> None:
        self._events.append(event)
        if not self._announced:
            self._announced = True
            try:
                os.write(self._writable, b"\0")
            except BlockingIOError:
                return  # a full pipe is a readable one

    def take(self) -> list[Event]:
        """Everything that has arrived; the loop only."""
        try:
            os.read(self._readable, 4096)
        except BlockingIOError:
            pass
        # After the read, or it could swallow the ring of a post that nobody repeats; before the events are taken, so
        # that a post in between rings once too often, never too seldom.
        self._announced = False
        events = self._events
        return [events.popleft() for _ in range(len(events))]

    def close(self) -> None:
        os.close(self._readable)
        os.close(self._writable)
