"""Facts in a stream: every worker reads all of it from the start, and follows it from then on.

A stream has no end that can be asked for, so who wants to know that it has read everything writes a mark, and reads up
to it. The version of a fact is its offset in the stream, plus one.
"""

import secrets
import threading
import time
from collections.abc import Sequence
from typing import Any

from pika import spec

from celery_rs._core import amqp_changed, amqp_content, amqp_headers
from celery_rs.errors import NotSupported
from celery_rs.transports.amqp import topology
from celery_rs.transports.amqp.errors import NOT_IMPLEMENTED, PRECONDITION_FAILED, Refused
from celery_rs.transports.amqp.link import Channel, Item, Link
from celery_rs.transports.amqp.publisher import CHANNEL, FRAME_MAX, Publisher
from celery_rs.transports.amqp.server import Server
from celery_rs.transports.amqp.unconfirmed import Publish
from celery_rs.transports.base import Fact, Route

_EMPTY = b"\x00\x00"
_KIND, _KEY, _UNTIL, _DROPPED = "x-crs-kind", "x-crs-key", "x-crs-until", "x-crs-dropped"
_MARK = ""
"""The kind of what is no fact."""
_READER = "facts"
_AT_ONCE = 1000
_PATIENCE_S = 10.0
REFRESH_AFTER_S = 86_400.0 * 3
"""A fact that is as old is written again, since a stream forgets by age."""


class FactLog:
    """What is known of the facts (any thread)."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._facts: dict[tuple[str, str], tuple[int, Fact]] = {}
        self.version = 0
        self.offset = 0
        """Where to read on."""
        self.followers = 0
        self.marks: set[str] = set()

    def learn(self, offset: int, properties: bytes, body: bytes) -> None:
        try:
            headers = amqp_headers(properties)
        except ValueError:
            headers = {}
        kind, key = headers.get(_KIND), headers.get(_KEY)
        with self._guard:
            if offset < self.offset:
                return
            self.offset = offset + 1
            if not isinstance(kind, str) or not isinstance(key, str):
                return
            if kind == _MARK:
                self.marks.add(key)
                return
            until = headers.get(_UNTIL)
            dropped = headers.get(_DROPPED) is True
            if dropped and (kind, key) not in self._facts:
                return
            fact = Fact(kind, key, None if dropped else body, until if isinstance(until, int | float) else None)
            self.version = offset + 1
            self._facts.pop((kind, key), None)
            self._facts[kind, key] = (self.version, fact)

    def since(self, version: int, now: float) -> tuple[int, Sequence[Fact]]:
        with self._guard:
            found = [fact for at, fact in self._facts.values() if at > version]
            return self.version, [fact for fact in found if fact.until is None or fact.until > now]

    def start_over(self) -> None:
        """The stream was deleted and made anew: its offsets count from the start."""
        with self._guard:
            self.offset = 0


class AmqpFacts:
    """See `transports.base.Facts`."""

    def __init__(self, server: Server, publisher: Publisher) -> None:
        self._server = server
        self._publisher = publisher
        self.log = FactLog()

    def put(self, kind: str, key: str, value: bytes, until: float | None = None) -> None:
        self._write({_KIND: kind, _KEY: key, _UNTIL: until}, value)

    def drop(self, kind: str, key: str) -> None:
        self._write({_KIND: kind, _KEY: key, _DROPPED: True}, b"")

    def _write(self, headers: dict[str, Any], value: bytes) -> None:
        self._declare()
        properties = amqp_changed(_EMPTY, headers=headers, delivery_mode=2)
        route = Route("", topology.FACTS)
        frames = amqp_content(CHANNEL, FRAME_MAX, *route, True, properties, value)
        self._publisher.publish([Publish(frames, route, topology.FACTS)], stored=True, deadline=_PATIENCE_S)

    def _declare(self) -> None:
        try:
            self._publisher.declare([_stream()], _PATIENCE_S)
        except Refused as error:
            if error.code not in (PRECONDITION_FAILED, NOT_IMPLEMENTED):
                raise
            raise NotSupported(
                f"keeping facts ({error})", "a RabbitMQ of 3.9 or later keeps them in a stream; use one, or Redis"
            ) from None

    def since(self, version: int) -> tuple[int, Sequence[Fact]]:
        if not self.log.followers or self.log.version <= version:
            link = self._server.open("celery-rs facts")
            try:
                self.follow(link, 1)
            finally:
                link.close()
                self.log.followers -= 1
        return self.log.since(version, time.time())

    def follow(self, link: Link, number: int) -> None:
        """Read everything that there is, and what comes for as long as `link` lives, on a channel of its own."""
        self.log.followers += 1
        self._declare()
        mark = secrets.token_hex(8)
        self._write({_KIND: _MARK, _KEY: mark}, b"")
        channel = link.channel(number, _PATIENCE_S)
        stream = _Stream(channel, self.log)
        channel.call(spec.Basic.Qos(prefetch_count=_AT_ONCE), _PATIENCE_S)
        if not stream.read_to(mark, self.log.offset):  # it is another stream than we knew
            self.log.start_over()
            stream.read_to(mark, 0)
        stream.acknowledge()
        self.log.marks.discard(mark)


class _Stream:
    """Hears a stream on a channel of its own."""

    def __init__(self, channel: Channel, log: FactLog) -> None:
        self._channel = channel
        self._log = log
        channel.on_item = self._hear

    def _hear(self, item: Item) -> None:
        if item[0] != "deliver":
            return
        _, _, _, tag, _, _, _, properties, body = item
        try:
            offset = amqp_headers(properties).get("x-stream-offset")
        except ValueError:
            offset = None
        if isinstance(offset, int):
            self._log.learn(offset, properties, body)
        self._tag = tag
        self._unacknowledged += 1
        if self._unacknowledged >= _AT_ONCE // 2:
            self.acknowledge()

    _tag = 0
    _unacknowledged = 0

    def read_to(self, mark: str, offset: int) -> bool:
        """Read on from there; whether the mark came. It hears what comes afterwards as well."""
        start = {"x-stream-offset": offset or "first"}
        self._channel.call_all(
            [
                spec.Basic.Cancel(consumer_tag=_READER),
                spec.Basic.Consume(queue=topology.FACTS, consumer_tag=_READER, arguments=start),
            ],
            _PATIENCE_S,
        )
        return self._channel.link.wait(lambda: mark in self._log.marks, _PATIENCE_S)

    def acknowledge(self) -> None:
        if self._unacknowledged:
            self._unacknowledged = 0
            self._channel.post(spec.Basic.Ack(self._tag, multiple=True))


def _stream() -> Any:
    return spec.Queue.Declare(queue=topology.FACTS, durable=True, arguments=topology.FACTS_KEPT)
