"""A consumer's connection: what it is subscribed to, and what has come and was not asked for yet.

A broker pushes. How much it pushes is decided when a subscription begins, so another number means a new
subscription on the same channel, where what was delivered before stays valid. The number goes by coarse steps, and
is each queue's own: of many queues each gets its share, and more of it once the others have nothing.
"""

from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Any

from pika import spec

from celery_rs.transports.amqp import topology
from celery_rs.transports.amqp.begun import OwnQueues
from celery_rs.transports.amqp.link import Item, Link
from celery_rs.transports.amqp.shares import Shares, may_stay, prefetch_of
from celery_rs.transports.amqp.topology import Topology

_WORK = 1
_OWN = 2
FACTS_CHANNEL = 3
_PATIENCE_S = 10.0
_REMEMBERED = 10_000
_CHANGES = 8
"""So many tags that have ended are remembered, and for each queue so many more: messages may be on their way."""
_ORPHANS_AT_ONCE = 100
_PUSHED_AT_ONCE = 1024
"""A channel passes nothing on while it begins subscriptions; so many messages they may push, then it gets its turn."""


class Session:
    """It lasts as long as its connection does: epoch by epoch."""

    def __init__(self, link: Link, epoch: int, own: OwnQueues, known: Topology) -> None:
        self.link = link
        self.epoch = epoch
        self.arrived: deque[tuple[str, Item]] = deque()
        """Deliveries with the queue they came from."""
        self.shares = Shares()
        self.own_arrived: deque[tuple[str, Item]] = deque()
        """Copies of begun work, and orphans."""
        self.prefetch = 0
        """How many messages each queue pushes before any is acknowledged, or will."""
        self._to_change: deque[str] = deque()
        """Queues that do not push as many yet."""
        self.asked_at = 0.0
        """When somebody asked for messages last, by the monotonic clock."""
        self._known = known
        self._tag_of: dict[str, str] = {}
        """Of each queue that is subscribed to, its consumer tag."""
        self._queue_of: dict[str, str] = {}
        """Also of the tags before: what was on its way comes under the tag it had."""
        self._past_tags: deque[str] = deque()
        self._subscriptions = 0
        self.cancelled: deque[str] = deque()
        """Tags that the broker has ended, since their queue was deleted, and that nobody has looked at yet."""
        self.work = link.channel(_WORK, _PATIENCE_S)
        self.work.on_item = self._hear_work
        self.own = link.channel(_OWN, _PATIENCE_S)
        self.own.on_item = self._hear_own
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
            if (queue := self._queue_of.get(item[2])) is not None:
                self.arrived.append((queue, item))
                self.shares.arrived(queue)
        elif item[0] == "cancelled":
            self.cancelled.append(item[2])

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

    @property
    def subscribed(self) -> list[str]:
        """The queues that push."""
        return list(self._tag_of)

    @property
    def is_settled(self) -> bool:
        """Whether all of them push as many as they shall."""
        return not (self.work.unawaited or self._to_change)

    @property
    def is_behind(self) -> bool:
        """Whether the next of them can change now: `want` again."""
        return bool(self._to_change) and not self.work.unawaited

    def want(self, wanted: int, queues: Sequence[str], *, of_each: bool = False) -> None:
        """Have up to `wanted` messages in hand: its share of each queue or, if wanted `of_each`, all of any queue.

        A change goes on while `is_behind`, and the next one waits for its end: a window that doubles at each look is
        not worth a subscription of each queue at each.
        """
        self._subscribe_to_the_cancelled(queues)
        if self.is_settled:
            self._begin_to_change(prefetch_of(wanted, 1 if of_each else len(queues)), wanted, queues)
        if self.is_behind:
            self._change_some()

    def _begin_to_change(self, prefetch: int, wanted: int, queues: Sequence[str]) -> None:
        if prefetch in (0, self.prefetch) or (prefetch < self.prefetch and may_stay(self.prefetch, wanted)):
            return
        self._to_change.extend([queue for queue in queues if queue in self._tag_of] if self.prefetch else queues)
        self.shares.begin()
        self.prefetch = prefetch

    def _change_some(self) -> None:
        some = list(islice(self._to_change, max(1, _PUSHED_AT_ONCE // self.prefetch)))
        anew = [method for queue in some for method in self._anew(queue)]
        qos = spec.Basic.Qos(prefetch_count=self.prefetch)
        # The second is answered once these push.
        self.work.ask(qos, *anew, qos, answers=2)
        for _ in some:
            self._to_change.popleft()

    def _subscribe_to_the_cancelled(self, queues: Sequence[str]) -> None:
        gone = []
        while self.cancelled:
            tag = self.cancelled.popleft()
            queue = self._queue_of.get(tag)
            if queue is not None and self._tag_of.get(queue) == tag:
                del self._tag_of[queue]
                gone.append(queue)
        self.subscribe([queue for queue in gone if queue in queues])

    def _anew(self, queue: str) -> list[Any]:
        """The methods by which this queue pushes as many as now; nobody waits for their answers."""
        before = self._tag_of.get(queue)
        methods = [*topology.again(self._known.queue(queue)), self._subscription(queue, nowait=True)]
        # In this order: while nobody consumes from it, a queue may delete itself, and drops what must go out at once.
        return methods if before is None else [*methods, spec.Basic.Cancel(before, nowait=True)]

    def subscribe(self, queues: Sequence[str]) -> None:
        """Declare these and, once it is known how many messages are wanted, have them push. Raises Refused."""
        for queue in queues:
            self.own.call_all(topology.queue_of(self._known.queue(queue)), _PATIENCE_S)
        if queues and self.prefetch:
            subscriptions = [self._subscription(queue) for queue in queues]
            self.work.call_all([spec.Basic.Qos(prefetch_count=self.prefetch), *subscriptions], _PATIENCE_S)

    def _subscription(self, queue: str, *, nowait: bool = False) -> spec.Basic.Consume:
        """Under a tag of its own."""
        self._subscriptions += 1
        tag = f"{self._subscriptions}.{self.epoch}"
        self._queue_of[tag] = queue
        if (before := self._tag_of.get(queue)) is not None:
            self._leave(before)
        self._tag_of[queue] = tag
        arguments = self._known.queue(queue).consumer_arguments or None
        return spec.Basic.Consume(queue=queue, consumer_tag=tag, nowait=nowait, arguments=arguments)

    def _leave(self, tag: str) -> None:
        self._past_tags.append(tag)
        if len(self._past_tags) > _REMEMBERED + _CHANGES * len(self._tag_of):
            del self._queue_of[self._past_tags.popleft()]

    def unsubscribe(self, queues: Sequence[str]) -> None:
        """What these have pushed has come when this returns."""
        self._to_change = deque(queue for queue in self._to_change if queue not in queues)
        tags = [self._tag_of.pop(queue) for queue in queues if queue in self._tag_of]
        if not tags:
            return
        for tag in tags:
            self._leave(tag)
        self.work.call_all([spec.Basic.Cancel(tag) for tag in tags], _PATIENCE_S)
        # A channel passes on what a queue has given it after it has answered for that queue.
        self.work.call(spec.Basic.Qos(prefetch_count=self.prefetch), _PATIENCE_S)

    def refuse(self, queues: Sequence[str]) -> None:
        """Give back what has come from these and was not taken."""
        came = [self.arrived.popleft() for _ in range(len(self.arrived))]
        # Before what comes meanwhile: tags are taken in their order.
        self.arrived.extendleft(reversed([each for each in came if each[0] not in queues]))
        if nacks := [spec.Basic.Nack(item[3], requeue=True) for queue, item in came if queue in queues]:
            self.work.post(*nacks)

    def close(self) -> None:
        """What is not acknowledged goes back to its queues."""
        self.link.close()
