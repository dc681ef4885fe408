"""What a broker that pushes must do with one queue, as plain data: the oracle of RabbitMQ's state machine.

No I/O and no clock. It knows less than `broker_model`: who gets a message, and when, is the broker's choice. It knows
that a message is in one place at a time, that nothing which has ended comes again, and what a message has been through.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from celery_rs.transports import Delivery, Tag

Place = Literal["queued", "held", "adrift", "dead", "ended"]


@dataclass
class PushedMessage:
    """`begun` says how, once it has begun; adrift is what had begun when its connection ended."""

    id: str
    due: float = 0.0
    place: Place = "queued"
    holder: str | None = None
    tag: Tag | None = None
    begun: Literal["early", "late"] | None = None
    redelivered: bool = False
    crashes: int = 0


@dataclass
class PushModel:
    """Every method is one call that succeeded, or one thing that happened to a process."""

    messages: dict[str, PushedMessage] = field(default_factory=dict)
    lost: dict[str, set[Tag]] = field(default_factory=dict)
    """Tags of the living that have ended with their connection, and were not told yet."""

    def in_place(self, *places: Place) -> list[PushedMessage]:
        return [message for message in self.messages.values() if message.place in places]

    def held(self, consumer: str, tag: Tag) -> PushedMessage | None:
        """The fence."""
        return next((each for each in self._held_by(consumer) if each.tag == tag), None)

    def _held_by(self, consumer: str) -> list[PushedMessage]:
        return [message for message in self.in_place("held") if message.holder == consumer]

    # Into the queue, and out of it

    def publish(self, id: str, *, due: float = 0.0) -> None:
        self.messages[id] = PushedMessage(id, due)

    def retry_dead(self, id: str) -> None:
        assert self.messages[id].place == "dead", self.messages[id]
        self.publish(id)

    def receive(self, consumer: str, id: str, delivery: Delivery, now: float) -> None:
        """Check that it may come, to this consumer and now."""
        message = self.messages[id]
        if message.place == "adrift" and delivery.crashes == message.crashes:
            assert message.holder == consumer, f"only who had begun it may go on with {message}"
            message.place, message.tag = "held", delivery.tag
            return
        if message.place == "adrift":
            self._fall(message)
        assert message.place == "queued", f"{message} came again"
        assert message.due <= now, f"{message} came {message.due - now} s early"
        assert delivery.crashes == message.crashes, message
        # One that was pushed to somebody who never asked for it comes again as well.
        assert delivery.redelivered or not message.redelivered, message
        message.redelivered = delivery.redelivered
        message.place, message.holder, message.tag = "held", consumer, delivery.tag

    def find_orphan(self, consumer: str, id: str, tag: Tag) -> None:
        message = self.messages[id]
        assert (message.place, message.begun) == ("adrift", "early"), f"{message} is no orphan"
        message.place, message.holder, message.tag = "held", consumer, tag

    # Held

    def begin(self, consumer: str, tags: Collection[Tag], *, late: bool) -> set[Tag]:
        for tag in tags:
            message = self.held(consumer, tag)
            if message is not None and message.begun is None:
                message.begun = "late" if late else "early"
        return {tag for tag in tags if self.held(consumer, tag) is None}

    def finish(
        self, consumer: str, tag: Tag, *, rejected: bool, followups: Sequence[str]
    ) -> Literal["committed", "lost"]:
        message = self.held(consumer, tag)
        if message is None:
            return "lost"
        for id in followups:
            self.publish(id)
        self._leave(message, "dead" if rejected else "ended")
        return "committed"

    def give_back(self, consumer: str, tags: Iterable[Tag], *, crashed: bool = False) -> None:
        for message in filter(None, (self.held(consumer, tag) for tag in tags)):
            self._return(message, crashed=crashed)

    def defer(self, consumer: str, tags: Iterable[Tag], due: float) -> None:
        for message in filter(None, (self.held(consumer, tag) for tag in tags)):
            self._leave(message, "queued")
            message.due = due

    def bury(self, consumer: str, tags: Iterable[Tag]) -> None:
        for message in filter(None, (self.held(consumer, tag) for tag in tags)):
            self._leave(message, "dead")

    # Lives

    def lose_connection(self, consumer: str) -> None:
        """It lives on, and may find again what it had begun."""
        for message in self._held_by(consumer):
            assert message.tag is not None
            self.lost.setdefault(consumer, set()).add(message.tag)
            if message.begun is None:
                self._return(message)
            else:
                message.place, message.tag = "adrift", None

    def die(self, consumer: str) -> None:
        for message in [*self._held_by(consumer), *self.in_place("adrift")]:
            if message.holder != consumer:
                continue
            if message.begun is None:
                self._return(message)
            else:
                message.place, message.holder, message.tag = "adrift", None, None

    def close(self, consumer: str) -> None:
        """In good order: only what was acknowledged early has nobody any more."""
        for message in self._held_by(consumer):
            if message.begun != "early":
                self._return(message)
        self.die(consumer)

    def told_of(self, consumer: str) -> set[Tag]:
        return self.lost.pop(consumer, set())

    def everything_has_come_down(self) -> None:
        """Late work of the dead is back in the queue."""
        for message in self.in_place("adrift"):
            if message.holder is None and message.begun == "late":
                self._fall(message)

    def _fall(self, message: PushedMessage) -> None:
        assert message.begun == "late", f"{message} may not run again"
        self._return(message, crashed=True)

    def _return(self, message: PushedMessage, *, crashed: bool = False) -> None:
        self._leave(message, "queued")
        message.redelivered = True
        message.crashes += crashed

    def _leave(self, message: PushedMessage, place: Place) -> None:
        message.place, message.holder, message.tag, message.begun = place, None, None, None
