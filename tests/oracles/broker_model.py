"""What a broker must do with one queue, as plain data: the oracle of the state machine.

No I/O and no clock. Where the contract leaves a choice (the order of messages that were delayed) the model checks
what the broker did instead of predicting it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count, pairwise
from typing import Literal

from celery_rs.transports import Recovered, Tag
from celery_rs.wire import TaskResult, supersedes

Place = Literal["ready", "delayed", "held", "begun", "dead", "committed"]
GONE: tuple[Place, ...] = ("dead", "committed")


@dataclass
class ModelMessage:
    """`order` is its place among its equals; None once it was delayed, since the contract does not say where it goes.

    A held message without a tag was reserved in a reply that got lost.
    """

    id: str
    priority: int
    order: int | None
    place: Place = "ready"
    due: float | None = None
    holder: str | None = None
    tag: Tag | None = None
    running: bool = False
    redelivered: bool = False
    crashes: int = 0
    deliveries: int = 0


@dataclass
class ModelConsumer:
    name: str
    state: Literal["living", "paused", "dead", "closed"] = "living"
    lost: set[Tag] = field(default_factory=set)
    """Taken from it, and not told yet."""


class BrokerModel:
    """Every method is one call that succeeded, or one thing that happened to a process."""

    def __init__(
        self, now: float, *, leases_by_clock: bool, keeps_places: bool = True, high_first: bool = True
    ) -> None:
        """`high_first`: whether a higher priority goes before a lower one."""
        self.now = now
        self._keeps_places = keeps_places
        self._high_first = high_first
        self.messages: dict[str, ModelMessage] = {}
        self.consumers: dict[str, ModelConsumer] = {}
        self.records: dict[str, TaskResult] = {}
        self._leases_by_clock = leases_by_clock
        self._once: set[str] = set()
        self._orders = count()

    def in_place(self, *places: Place) -> list[ModelMessage]:
        return [message for message in self.messages.values() if message.place in places]

    def only_the_living_hold(self) -> bool:
        holders = {message.holder for message in self.in_place("held", "begun")}
        return all(consumer.state == "living" for consumer in self.consumers.values() if consumer.name in holders)

    def is_ours(self, consumer: str, tag: Tag) -> bool:
        return self._held(consumer, tag) is not None

    def advance(self, now: float) -> None:
        self.now = now
        for message in self.in_place("delayed"):
            if message.due is not None and message.due <= now:
                message.place, message.due = "ready", None

    # Into the queue

    def publish(self, id: str, *, priority: int = 0, not_before: float | None = None, once: str | None = None) -> None:
        if once is not None and once in self._once:
            return
        if once is not None:
            self._once.add(once)
        self.messages[id] = ModelMessage(id, priority, next(self._orders))
        if not_before is not None:
            self._delay(self.messages[id], not_before)

    def retry_dead(self, id: str) -> None:
        self.messages[id] = ModelMessage(id, self.messages[id].priority, next(self._orders))

    # Out of the queue

    def reserve(self, consumer: str, ids: Sequence[str], limit: int, *, reply_lost: bool = False) -> None:
        """Check that these are what the consumer had to get, and note that it holds them."""
        ready = self.in_place("ready")
        assert len(ids) == len(set(ids)) == min(limit, len(ready)), (ids, limit, ready)
        chosen = [self.messages[id] for id in ids]
        assert all(message.place == "ready" for message in chosen), chosen
        left = [message for message in ready if message.id not in ids]
        for earlier, later in pairwise(chosen):
            assert reply_lost or not self._goes_before(later, earlier), (earlier, later)
        for waiting in left:
            assert not any(self._goes_before(waiting, message) for message in chosen), (waiting, chosen)
        for message in chosen:
            message.place, message.holder = "held", consumer
            message.deliveries += 1

    def tag(self, id: str, tag: Tag) -> None:
        self.messages[id].tag = tag

    def check_in(self, consumer: str) -> None:
        """What was reserved in a lost reply goes back when its consumer is heard of again."""
        for message in self._held_by(consumer):
            if message.tag is None:
                self._return(message)

    def take_lost(self, consumer: str) -> set[Tag]:
        lost, self.consumers[consumer].lost = self.consumers[consumer].lost, set()
        return lost

    # Held

    def begin(self, consumer: str, tags: Collection[Tag], *, late: bool) -> set[Tag]:
        for tag in tags:
            message = self._held(consumer, tag)
            if message is not None and late:
                message.running = True
            elif message is not None:
                message.place = "begun"
        return {tag for tag in tags if not self.is_ours(consumer, tag)}

    def finish(
        self,
        consumer: str,
        tag: Tag,
        *,
        rejected: bool = False,
        followups: Iterable[tuple[str, str]] = (),
        record: TaskResult | None = None,
    ) -> Literal["committed", "lost"]:
        """Follow-ups are (id, once)."""
        message = self._held(consumer, tag)
        if message is None:
            return "lost"
        for id, once in followups:
            self.publish(id, once=once)
        self._store(record)
        self._settle(message, "dead" if rejected else "committed")
        return "committed"

    def give_back(self, consumer: str, tags: Iterable[Tag], *, crashed: bool, front: bool) -> None:
        for message in filter(None, (self._held(consumer, tag) for tag in tags)):
            message.deliveries -= not crashed
            self._return(message, crashed=crashed)
            if not front:
                message.order = next(self._orders)

    def defer(self, consumer: str, due: Mapping[Tag, float]) -> None:
        for tag, when in due.items():
            message = self._held(consumer, tag)
            if message is not None:
                message.deliveries -= 1
                self._settle(message, "ready")
                self._delay(message, when)

    def bury(self, consumer: str, tag: Tag, record: TaskResult | None) -> None:
        message = self._held(consumer, tag)
        if message is not None:
            self._store(record)
            self._settle(message, "dead")

    # Lives

    def close(self, consumer: str) -> None:
        self.consumers[consumer].state = "closed"
        for message in self._held_by(consumer):
            if message.place == "held":
                message.deliveries -= 1
                self._return(message)

    def recover(self, by: str, recovered: Recovered, orphans: Mapping[str, Tag]) -> None:
        """Check what `by` recovered (`orphans` are tags by id) once nobody can doubt who is dead."""
        returned = 0
        inherited = set()
        for consumer in self.consumers.values():
            if not self._is_taken_for_dead(consumer):
                continue
            for message in self._held_by(consumer.name):
                if message.tag is not None and consumer.state == "paused":
                    consumer.lost.add(message.tag)
                if message.place == "begun":
                    inherited.add(message.id)
                    message.holder, message.tag = by, orphans.get(message.id)
                else:
                    returned += 1
                    self._return(message, crashed=message.running)
        assert recovered.returned == returned
        assert orphans.keys() == inherited

    def _is_taken_for_dead(self, consumer: ModelConsumer) -> bool:
        return consumer.state in ("dead", "closed") or (consumer.state == "paused" and self._leases_by_clock)

    def _held_by(self, consumer: str) -> list[ModelMessage]:
        return [message for message in self.in_place("held", "begun") if message.holder == consumer]

    def _held(self, consumer: str, tag: Tag) -> ModelMessage | None:
        """The fence."""
        return next((message for message in self._held_by(consumer) if message.tag == tag), None)

    def _return(self, message: ModelMessage, *, crashed: bool = False) -> None:
        self._settle(message, "ready")
        message.redelivered = True
        message.crashes += crashed
        if not self._keeps_places:
            message.order = None

    def _settle(self, message: ModelMessage, place: Place) -> None:
        message.place, message.holder, message.tag, message.running = place, None, None, False

    def _delay(self, message: ModelMessage, due: float) -> None:
        message.order = None
        if due > self.now:
            message.place, message.due = "delayed", due

    def _store(self, record: TaskResult | None) -> None:
        if record is None:
            return
        known = self.records.get(record.task_id)
        if known is None or supersedes(record.state, record.attempt, over=known.state, over_attempt=known.attempt):
            self.records[record.task_id] = record

    def _goes_before(self, one: ModelMessage, other: ModelMessage) -> bool:
        """Whether `one` must be served before `other`."""
        if one.priority != other.priority:
            return (one.priority > other.priority) is self._high_first
        return one.order is not None and other.order is not None and one.order < other.order
