"""What a remote command may know and touch: the worker's face towards its commands.

Commands run on the loop's thread, one at a time, so they may change what they are given. The worker implements this;
tests use a plain class.
"""

import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from celery_rs.context import AppLike
from celery_rs.transports import Delayed
from celery_rs.wire import Queue
from celery_rs.worker.request import Request


class Later(NamedTuple):
    """A reply that needs the broker: computed by a thread that may wait for it."""

    compute: Callable[[], Any]


class Promise:
    """A reply that another thread will know. Each method is called once, in either order."""

    def __init__(self) -> None:
        self._both = threading.Lock()
        self._reply: tuple[Any, ...] = ()
        self._answer: Callable[[Any], None] | None = None

    def keep(self, reply: Any) -> None:
        """This is the reply; any thread."""
        with self._both:
            self._reply = (reply,)
            answer = self._answer
        if answer is not None:
            answer(reply)

    def then(self, answer: Callable[[Any], None]) -> None:
        """Tell whoever asked, on the thread that keeps the promise, or on this one where it has been kept."""
        with self._both:
            self._answer = answer
            kept = self._reply
        if kept:
            answer(*kept)


class WorkerState(Protocol):
    """A running worker, as its commands see it."""

    @property
    def hostname(self) -> str:
        """The node's name."""
        ...

    @property
    def app(self) -> AppLike: ...

    # looking

    def active(self) -> Sequence[Request]:
        """What runs now."""
        ...

    def reserved(self) -> Sequence[Request]:
        """Held here, not started, and waiting for no ETA."""
        ...

    def scheduled(self) -> Sequence[Request]:
        """Held here until their ETA, which is seconds away; what is due later lies at the broker."""
        ...

    def scheduled_at_broker(self, limit: int) -> Sequence[Delayed]:
        """The first that the broker keeps for this worker's queues. It asks the broker: only within a `Later`."""
        ...

    def revoked(self) -> Sequence[str]:
        """The ids of revoked tasks."""
        ...

    def queues(self) -> Sequence[Queue]:
        """What it consumes from."""
        ...

    def stats(self) -> Mapping[str, object]:
        """Celery's `stats` (docs/internals/wire-protocol.md, 6.3), JSON values only."""
        ...

    def clock(self) -> int:
        """The logical time of what it has heard and said."""
        ...

    # limits

    def set_rate(self, task: str, rate: str | float | None) -> None:
        """From now on; what waits for a token waits as long as the new rate says. Raises ValueError."""
        ...

    def set_time_limits(self, task: str, soft: float | None, hard: float | None) -> None:
        """For what starts from now on; in seconds."""
        ...

    # tasks

    def revoke(self, ids: Sequence[str], signum: signal.Signals | None = None) -> list[str]:
        """Start these no more, and with a signal end those that run; returns the ids that are here."""
        ...

    def revoke_stamped(self, stamps: Mapping[str, Sequence[Any]], signum: signal.Signals | None = None) -> list[str]:
        """The same for what carries one of these values under one of these names."""
        ...

    # events

    def send_task_events(self, on: bool) -> bool:
        """Whether events of tasks are sent from now on; returns whether they were."""
        ...

    def beat(self) -> None:
        """Send a heartbeat now."""
        ...

    # the worker itself

    def shutdown(self) -> None:
        """A warm shutdown."""
        ...

    def resize(self, by: int) -> None:
        """So many pool processes more, or fewer. Raises ValueError where there cannot be so many."""
        ...

    def autoscale(self, most: int | None, least: int | None) -> tuple[int, int]:
        """Change the bounds; returns them. Raises ValueError where nothing scales."""
        ...

    def restart_pool(self) -> None:
        """Replace every pool process. Raises NotSupported where there are none."""
        ...

    def configured(self, queue: str) -> Queue:
        """The queue of that name as the app's settings have it. Raises QueueNotFound."""
        ...

    def consume(self, queue: Queue) -> Promise:
        """The reply is known once the broker has let this worker consume from it, or has refused."""
        ...

    def cancel(self, queue: str) -> None: ...
