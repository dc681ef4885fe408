"""Messages to publishes: which exchange, which key, and up the ladder if it is too early."""

import time
from collections.abc import Sequence

from celery_rs._core import amqp_changed, amqp_content, amqp_publishes
from celery_rs.errors import Unroutable
from celery_rs.transports.amqp import ladder, native_delay, topology
from celery_rs.transports.amqp.publisher import CHANNEL, FRAME_MAX, Publisher, letter_of
from celery_rs.transports.amqp.topology import Topology
from celery_rs.transports.amqp.unconfirmed import Publish
from celery_rs.transports.base import Outgoing, Route
from celery_rs.wire import Message

_ETA = b"\x03etaS"
"""A header `eta` that is text, as it stands in a header table."""

_LONGEST_MS = 2**32 - 1
"""A RabbitMQ may refuse a message that is to live for longer."""
_REMEMBERED = 10_000


class Sender:
    """What the transport and its consumers publish through."""

    def __init__(self, publisher: Publisher, known: Topology) -> None:
        self.publisher = publisher
        self._known = known
        self._told: dict[str, None] = {}
        """What is to be sent once and the broker has: a step that fails after it is made again from its start."""

    def publish(self, batch: Sequence[Outgoing], *, stored: bool, deadline: float) -> None:
        """Raises OperationalError, Unroutable."""
        batch = [each for each in batch if each.once is None or each.once not in self._told]
        self.publisher.publish(self._publishes(batch), stored=stored, deadline=deadline)
        if stored:
            self._told |= {each.once: None for each in batch if each.once is not None}
            while len(self._told) > _REMEMBERED:
                del self._told[next(iter(self._told))]

    def publish_or_bury(self, batch: Sequence[Outgoing], *, deadline: float) -> None:
        """What no queue takes becomes a dead letter: it has no caller who could be told."""
        try:
            self.publish(batch, stored=True, deadline=deadline)
            return
        except Unroutable:
            pass
        for each in batch:
            try:
                self.publish([each], stored=True, deadline=deadline)
            except Unroutable as error:
                self.publisher.publish([self._letter(each, str(error))], stored=True, deadline=deadline)

    def delayed(self, queue: str, properties: bytes, body: bytes, due: float) -> Publish:
        """A message for a queue at `due`, in epoch seconds; one without an `eta` of its own may come a tick late."""
        ticks = ladder.ticks(due - time.time(), early=_ETA in properties)
        up = self._up(queue, ticks)
        if up is not None:
            properties = amqp_changed(properties, expiration="")
        route = up or Route("", queue)
        return Publish(amqp_content(CHANNEL, FRAME_MAX, *route, True, properties, body), route, queue)

    def _publishes(self, batch: Sequence[Outgoing]) -> list[Publish]:
        now = time.time()
        routes, targets = [], []
        for each in batch:
            route, target = self._placed(each, now)
            routes.append(route)
            targets.append(target)
        # What has a time to live would fall off the ladder when that is over; its `expires` says the same to workers.
        messages = [
            each.message
            if route is each.route and _may_expire(each.message)
            else each.message._replace(expiration=None)
            for each, route in zip(batch, routes, strict=True)
        ]
        fanouts = [bool(route.exchange) and self._known.is_fanout(route.exchange) for route in routes]
        if not any(fanouts):
            frames = amqp_publishes(messages, routes, CHANNEL, FRAME_MAX, True)
        else:
            frames = [
                amqp_publishes([message], [route], CHANNEL, FRAME_MAX, not fanout)[0]
                for message, route, fanout in zip(messages, routes, fanouts, strict=True)
            ]
        return [Publish(*each) for each in zip(frames, routes, targets, strict=True)]

    def _placed(self, outgoing: Outgoing, now: float) -> tuple[Route, str | None]:
        """Where it goes now, and the queue it is for in the end, if that is known."""
        route = outgoing.route
        if route.exchange:
            return self._natively_delayed(outgoing, now) or route, None
        target = route.routing_key
        if outgoing.not_before is not None and outgoing.not_before > now:
            ticks = ladder.ticks(outgoing.not_before - now, early=outgoing.message.eta is not None)
            return self._up(target, ticks) or route, target
        return route, target

    def _natively_delayed(self, outgoing: Outgoing, now: float) -> Route | None:
        """As Celery's clients do for exchanges that are not direct, if one is a quorum queue; else a worker waits."""
        route, due = outgoing.route, outgoing.not_before
        queues = self._known.bound_to(route.exchange)
        if due is None or due - now < 1 or not any(map(topology.is_quorum, queues)):
            return None
        if any(each.exchange.type == "direct" for queue in queues for each in queue.all_bindings):
            return None
        return Route(native_delay.TOP, native_delay.key(due - now, route.routing_key))

    def _up(self, queue: str, ticks: int) -> Route | None:
        """None if it is due, or its queue's name is too long for the ladder: then it waits at a worker."""
        if ticks <= 0:
            return None
        chosen = ladder.QUORUM if topology.is_quorum(self._known.queue(queue)) else ladder.CLASSIC
        return chosen.entry(ticks, queue)

    @staticmethod
    def _letter(outgoing: Outgoing, why: str) -> Publish:
        (frames,) = amqp_publishes([outgoing.message], [Route("", topology.DEAD)], CHANNEL, FRAME_MAX, True)
        properties, body = parts_of(frames)
        dead = letter_of(properties, outgoing.route.routing_key, "unroutable", why)
        route = Route("", topology.DEAD)
        return Publish(amqp_content(CHANNEL, FRAME_MAX, *route, True, dead, body), route, topology.DEAD)


def _may_expire(message: Message) -> bool:
    text = message.expiration
    return text is None or (text.isdecimal() and int(text) <= _LONGEST_MS)


def parts_of(frames: bytes) -> tuple[bytes, bytes]:
    """The properties and the body of a publish."""
    at = 0
    properties, body = b"", bytearray()
    while at < len(frames):
        kind, size = frames[at], int.from_bytes(frames[at + 3 : at + 7], "big")
        payload = frames[at + 7 : at + 7 + size]
        if kind == 2:
            properties = payload[12:]
        elif kind == 3:
            body += payload
        at += size + 8
    return properties, bytes(body)
