"""A consumer's connection: what it is subscribed to, and what has come and was not asked for yet.

A broker pushes. How much it pushes is decided when a subscription begins, so another number means a new
subscription on the same channel, where what was delivered before stays valid. The number goes by coarse steps.
"""

from collections import deque
from collections.abc import Sequence
from typing import Any

from pika import spec

from celery_rs.transports.amqp import topology
from celery_rs.transports.amqp.begun import OwnQueues
from celery_rs.transports.amqp.link import Item, Link
from celery_rs.transports.amqp.topology import Topology

_WORK = 1
_OWN = 2
FACTS_CHANNEL = 3
_PATIENCE_S = 10.0
_EXACT = 8
"""Up to so many, the broker pushes exactly what is wanted."""
_ORPHANS_AT_ONCE = 100


class Session:
    """It lasts as long as its connection does: epoch by epoch."""

    def __init__(self, link: Link, epoch: int, own: OwnQueues, known: Topology) -> None:
        self.link = link
        self.epoch = epoch
        self.arrived: deque[tuple[str, Item]] = deque()
        """Deliveries with the queue they came from."""
        self.own_arrived: deque[tuple[str, Item]] = deque()
        """Copies of begun work, and orphans."""
        self.prefetch = 0
        self.asked_at = 0.0
        """When somebody asked for messages last, by the monotonic clock."""
        self._known = known
        self._tags: dict[str, str] = {}
        self._subscriptions = 0
        self.cancelled: list[str] = []
        """Queues that were deleted under us, and are not subscribed to again yet."""
        self.work = link.channel(_WORK, _PATIENCE_S)
        self.work.on_item = self._hear_work
        self.own = link.channel(_OWN, _PATIENCE_S)
        self.own.on_item = self._hear_own
        self._own_queues = {own.begun: own.begun, own.fallen: own.fallen, topology.ORPHANS: topology.ORPHANS}
        self.own.call_all([*topology.own_queues(), *own.declarations()], _PATIENCE_S)
        # Not exclusive: the broker may still believe in the connection that we have given up.
        self.own.call_all(
            [
                spec.Basic.Consume(queue=own.begun, consumer_tag=own.begun),
                spec.Basic.Consume(queue=own.fallen, consumer_tag=own.fallen),
                spec.Basic.Qos(prefetch_count=_ORPHANS_AT_ONCE),
                spec.Basic.Consume(queue=topology.ORPHANS, consumer_tag=topology.ORPHANS),
            ],
            _PATIENCE_S,
        )

    # Hearing (called by whoever reads the connection)

    def _hear_work(self, item: Item) -> None:
        if item[0] == "deliver":
            queue = self._tags.get(item[2])
            if queue is not None:
                self.arrived.append((queue, item))
        elif item[0] == "cancelled":
            queue = self._tags.pop(item[2], None)
            if queue is not None:
                self.cancelled.append(queue)

    def _hear_own(self, item: Item) -> None:
        if item[0] == "deliver":
            self.own_arrived.append((item[2], item))

    # Subscribing

    def check(self) -> None:
        """Raises what has ended it."""
        self.link.check()
        for channel in (self.work, self.own):
            if channel.closed is not None:
                self.link.fail(channel.closed)

    def want(self, number: int, queues: Sequence[str]) -> None:
        """Have up to `number` messages of each queue in hand."""
        if self.cancelled:
            gone, self.cancelled = self.cancelled, []
            self.subscribe([queue for queue in gone if queue in queues])
        wanted = number if number <= _EXACT else 1 << (number - 1).bit_length()
        if wanted == self.prefetch or (_EXACT < wanted < self.prefetch and wanted * 4 > self.prefetch):
            return
        self.prefetch = wanted
        self.unsubscribe(queues)
        self.subscribe(queues)

    def subscribe(self, queues: Sequence[str]) -> None:
        for queue in queues:
            self._declare(queue)
        if not queues or not self.prefetch:
            return
        methods: list[Any] = [spec.Basic.Qos(prefetch_count=self.prefetch)]
        for queue in queues:
            self._subscriptions += 1
            tag = f"{self._subscriptions}.{self.epoch}"
            self._tags[tag] = queue
            known = self._known.queue(queue)
            methods.append(
                spec.Basic.Consume(
                    queue=queue, consumer_tag=tag, exclusive=known.exclusive, arguments=known.consumer_arguments or None
                )
            )
        self.work.call_all(methods, _PATIENCE_S)

    def unsubscribe(self, queues: Sequence[str]) -> None:
        tags = [tag for tag, queue in self._tags.items() if queue in queues]
        self.work.call_all([spec.Basic.Cancel(tag) for tag in tags], _PATIENCE_S)
        for tag in tags:
            self._tags.pop(tag, None)

    def refuse(self, queues: Sequence[str]) -> None:
        """Give back what has come from these and was not taken."""
        nacks = []
        for _ in range(len(self.arrived)):
            queue, item = self.arrived.popleft()
            if queue in queues:
                nacks.append(spec.Basic.Nack(item[3], requeue=True))
            else:
                self.arrived.append((queue, item))
        if nacks:
            self.work.post(*nacks)

    def _declare(self, name: str) -> None:
        self.own.call_all(topology.queue_of(self._known.queue(name)), _PATIENCE_S)

    def close(self) -> None:
        """What is not acknowledged goes back to its queues."""
        self.link.close()
