"""A consumer's connection: what it is subscribed to, and what has come and was not asked for yet.

A broker pushes. How much it pushes is decided when a subscription begins, so another number means a new
subscription on the same channel, where what was delivered before stays valid. The number goes by coarse steps, and
is each queue's own: of many queues each gets its share, and more of it once the others have nothing.
"""

from collections import Counter, deque
from collections.abc import Sequence
from itertools import chain
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
"""Up to so many, the broker pushes exactly what is wanted; each queue of many pushes so many at least."""
_STEP = 4
"""Above, the number grows by this factor: a busy broker takes milliseconds to begin a subscription anew."""
_ENOUGH = 16
"""It falls once it is so many times what is wanted."""
_RECENT = 512
_FEW = 4
"""Where so few queues gave most of the last messages, they are given the shares of the others."""
_MOST = 0xFFFF
"""What has room in a Basic.Qos."""
_REMEMBERED = 10_000
_ORPHANS_AT_ONCE = 100


class Session:
    """It lasts as long as its connection does: epoch by epoch."""

    def __init__(self, link: Link, epoch: int, own: OwnQueues, known: Topology) -> None:
        self.link = link
        self.epoch = epoch
        self.arrived: deque[tuple[str, Item]] = deque()
        """Deliveries with the queue they came from."""
        self._recent: deque[str] = deque(maxlen=_RECENT)
        """Where the last of them came from."""
        self.own_arrived: deque[tuple[str, Item]] = deque()
        """Copies of begun work, and orphans."""
        self.prefetch = 0
        self.asked_at = 0.0
        """When somebody asked for messages last, by the monotonic clock."""
        self._known = known
        self._tags: dict[str, str] = {}
        """The consumer tag of each queue that is subscribed to."""
        self._queues: dict[str, str] = {}
        """The queue of each consumer tag, also of those before: what was on its way comes under the tag it had."""
        self._past_tags: deque[str] = deque()
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
            if (queue := self._queues.get(item[2])) is not None:
                self.arrived.append((queue, item))
                self._recent.append(queue)
        elif item[0] == "cancelled":
            queue = self._queues.get(item[2])
            if queue is not None and self._tags.get(queue) == item[2]:
                del self._tags[queue]
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

    @property
    def subscribed(self) -> list[str]:
        """The queues that push."""
        return list(self._tags)

    @property
    def is_settled(self) -> bool:
        """Whether all of them push as many as wanted."""
        return not self.work.unawaited

    @property
    def is_one_sided(self) -> bool:
        """Whether few queues have given most of what came since they push as many as now."""
        recent = tuple(self._recent)
        return len(recent) == _RECENT and max(Counter(recent).values()) * _FEW >= _RECENT

    def want(self, number: int, queues: Sequence[str], *, of_each: bool = False) -> None:
        """Have up to `number` messages in hand: its share of each queue, or, if wanted `of_each`, all of any queue."""
        if self.cancelled:
            gone, self.cancelled = self.cancelled, []
            self.subscribe([queue for queue in gone if queue in queues])
        wanted = prefetch_of(number, 1 if of_each else len(queues))
        if wanted == self.prefetch or (number > _EXACT and wanted < self.prefetch < number * _ENOUGH):
            return
        begun = [queue for queue in queues if queue in self._tags] if self.prefetch else queues
        self.prefetch = wanted
        self._recent.clear()
        if not wanted:  # to the broker that means: without end
            self.unsubscribe(queues)
            return
        qos = spec.Basic.Qos(prefetch_count=wanted)
        # The second is answered once all of them push.
        self.work.ask(qos, *chain(*map(self._anew, begun)), qos, answers=2)

    def _anew(self, queue: str) -> tuple[Any, ...]:
        """The methods by which this queue pushes as many as now; nobody waits for their answers."""
        before = self._tags.get(queue)
        subscription = self._subscription(queue, nowait=True)
        if before is None:
            return (subscription,)
        cancel = spec.Basic.Cancel(before, nowait=True)
        # A queue may delete itself, and drops what must be delivered at once, while nobody is subscribed to it.
        return (cancel, subscription) if subscription.exclusive else (subscription, cancel)

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
        self._queues[tag] = queue
        if (past := self._tags.get(queue)) is not None:
            self._leave(past)
        self._tags[queue] = tag
        known = self._known.queue(queue)
        arguments = known.consumer_arguments or None
        return spec.Basic.Consume(
            queue=queue, consumer_tag=tag, exclusive=known.exclusive, nowait=nowait, arguments=arguments
        )

    def _leave(self, tag: str) -> None:
        self._past_tags.append(tag)
        if len(self._past_tags) > _REMEMBERED:
            del self._queues[self._past_tags.popleft()]

    def unsubscribe(self, queues: Sequence[str]) -> None:
        """What these have pushed has come when this returns."""
        tags = [self._tags.pop(queue) for queue in queues if queue in self._tags]
        if not tags:
            return
        for tag in tags:
            self._leave(tag)
        self.work.call_all([spec.Basic.Cancel(tag) for tag in tags], _PATIENCE_S)
        # A channel passes on what a queue has given it after it has answered for that queue.
        self.work.call(spec.Basic.Qos(prefetch_count=self.prefetch), _PATIENCE_S)

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

    def close(self) -> None:
        """What is not acknowledged goes back to its queues."""
        self.link.close()


def prefetch_of(number: int, queues: int) -> int:
    """How many messages each of so many queues pushes, where `number` are wanted of all together."""
    if number <= _EXACT:
        return number
    prefetch = _EXACT
    while prefetch * max(queues, 1) < number:
        prefetch *= _STEP
    return min(prefetch, _MOST)
