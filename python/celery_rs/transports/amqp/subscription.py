"""Hear what others announce: a queue of one's own on an exchange, gone with the connection.

A connection that fails is made again by the next `receive`; what was announced meanwhile is gone, as with Kombu.
"""

import time
import uuid
from collections import deque
from collections.abc import Sequence
from typing import Any

from pika import spec

from celery_rs._core import open_amqp
from celery_rs.errors import OperationalError
from celery_rs.transports.amqp import topology
from celery_rs.transports.amqp.errors import RESOURCE_LOCKED, LinkLost, Refused
from celery_rs.transports.amqp.link import Item, Link
from celery_rs.transports.amqp.server import Server
from celery_rs.wire import Exchange, Queue

_PATIENCE_S = 10.0
_CONTROL = {"x-expires": 10_000, "x-message-ttl": 300_000}
_EVENTS = {"x-expires": 60_000, "x-message-ttl": 5_000}
_BARE = b"\x00\x00"


class AmqpSubscription:
    """See `transports.base.Subscription`."""

    def __init__(self, server: Server, exchange: Exchange, pattern: str, queue: str | Queue) -> None:
        self._server = server
        self._exchange = exchange
        self._key = "" if exchange.type == "fanout" else pattern
        self._declared = queue if isinstance(queue, Queue) else None
        """The queue to the letter, where somebody else's letter counts."""
        name = queue.name if isinstance(queue, Queue) else queue
        self._queue = name or f"{uuid.uuid4()}.{exchange.name}"
        self._heard: deque[Item] = deque()
        self._times = 0
        self._woken = False
        self._closed = False
        self._link: Link | None = self._subscribed()

    def fileno(self) -> int:
        """Readable when something may have come. Raises OperationalError."""
        return self._living().fileno()

    def receive(self, timeout: float) -> Sequence[bytes]:
        until = time.monotonic() + timeout
        link = self._living()
        try:
            while not (self._heard or self._woken or self._closed):
                link.beat(time.monotonic())
                left = until - time.monotonic()
                step = link.heartbeat / link.beats or left
                if link.wait(lambda: self._heard or self._woken or self._closed, min(left, step)) or left <= step:
                    break
        except OperationalError:
            self._link = None
            if not self._heard:
                raise
        self._woken = False
        return _envelopes([self._heard.popleft() for _ in range(len(self._heard))])

    def wake(self) -> None:
        self._woken = True
        if self._link is not None:
            self._link.wake()

    def is_lost(self) -> bool:
        link = self._link
        return link is None or link.seems_lost()

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            if self._link is not None:
                self._link.close()

    def _living(self) -> Link:
        if self._link is None or self._link.lost is not None:
            self._link = self._subscribed()
        return self._link

    def _subscribed(self) -> Link:
        link = self._server.open(f"celery-rs {self._queue}", heartbeat=self._server.options.heartbeat)
        try:
            try:
                self._consume_on(link)
            except Refused as error:
                if error.code != RESOURCE_LOCKED or self._declared is not None:
                    raise
                # Somebody of our name hears, or the broker has not noticed yet that we lost our connection.
                self._queue = f"{uuid.uuid4()}.{self._exchange.name}"
                self._consume_on(link)
        except BaseException:
            link.forget()
            raise
        self._times += 1
        return link

    def _consume_on(self, link: Link) -> None:
        channel = link.channel(1, _PATIENCE_S)
        channel.on_item = self._hear
        channel.call_all([*self._declarations(), self._consume()], _PATIENCE_S)

    def _declarations(self) -> list[Any]:
        if self._declared is not None:
            return topology.queue_of(self._declared)
        arguments = _EVENTS if self._exchange.type == "topic" else _CONTROL
        declared = spec.Queue.Declare(queue=self._queue, exclusive=True, auto_delete=True, arguments=arguments)
        bound = spec.Queue.Bind(queue=self._queue, exchange=self._exchange.name, routing_key=self._key)
        return [*topology.exchange_of(self._exchange), declared, bound]

    def _consume(self) -> Any:
        # Until a broker notices that a connection is gone, its consumer would get its share of what comes.
        before_the_last = {"x-priority": self._times} if self._times else None
        return spec.Basic.Consume(queue=self._queue, consumer_tag="1", no_ack=True, arguments=before_the_last)

    def _hear(self, item: Item) -> None:
        if item[0] == "deliver":
            self._heard.append(item)
        elif item[0] == "cancelled" and self._link is not None:
            self._link.ended_by(LinkLost(f"{self._link.place.words()}: the queue {self._queue!r} was deleted"))


def _envelopes(items: Sequence[Item]) -> list[bytes]:
    """As Kombu's other transports would carry them; what is bare was never more than bytes."""
    opened = open_amqp([(item[5], item[6], item[4], item[7], item[8]) for item in items])
    return [bytes(item[8]) if item[7] == _BARE else each.raw for item, each in zip(items, opened, strict=True)]
