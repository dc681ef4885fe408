"""Reach the broker when the worker starts: again and again, as the settings say, and never deaf to a signal.

The pool has started by then, so it is looked after while the worker waits.
"""

from collections.abc import Callable, Sequence
from time import monotonic

from celery_rs.errors import OperationalError
from celery_rs.transports import Consumer, Transport
from celery_rs.wire import Queue
from celery_rs.worker.inbox import Event, Inbox, Signalled
from celery_rs.worker.lifecycle import Lifecycle, Phase
from celery_rs.worker.pools import Pool
from celery_rs.worker.reconnect import Patience, Rising, Tries
from celery_rs.worker.watch import Watch


class Connecting:
    """What a worker that has no broker yet waits for: time, its pool, and signals, of which `hear` is told."""

    def __init__(
        self, box: Inbox, watch: Watch, pool: Pool, lifecycle: Lifecycle, hear: Callable[[Signalled], None]
    ) -> None:
        self._box = box
        self._watch = watch
        self._pool = pool
        self._lifecycle = lifecycle
        self._hear = hear

    def connect(
        self,
        transport: Transport,
        queues: Sequence[Queue],
        patience: Patience,
        failed: Callable[[OperationalError], None],
    ) -> Consumer | None:
        """A consumer of these queues; None when a signal came first. `failed` is told why it tries again.

        Raises OperationalError once patience ends.
        """
        tries = Tries(transport.describe(), patience, Rising())
        while True:
            try:
                transport.declare(queues)
                consumer = transport.consume([queue.name for queue in queues])
                self._catch_up()
                return consumer
            except OperationalError as error:
                self._catch_up()
                delay = tries.failed(error)
                failed(error)
            self._wait(delay)
            if self._lifecycle.phase >= Phase.DRAINING:
                return None

    def _catch_up(self) -> None:
        """Hear what the pool's processes have said while a broker was slow, before any of them is found too slow."""
        self._watch.wait(0.0)

    def _wait(self, seconds: float) -> None:
        until = monotonic() + seconds
        kept: list[Event] = []
        unwatch = self._watch(self._box.fileno(), lambda: None)
        while self._lifecycle.phase < Phase.DRAINING and (left := until - monotonic()) > 0:
            wish = self._pool.tick(monotonic())
            self._watch.wait(left if wish is None else max(0.0, min(left, wish - monotonic())))
            for event in self._box.take():
                if isinstance(event, Signalled):
                    self._hear(event)
                else:
                    kept.append(event)
        unwatch()
        for event in kept:  # the loop's business, once there is one
            self._box.post(event)
