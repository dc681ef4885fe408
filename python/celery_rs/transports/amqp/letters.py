"""Dead letters: messages in a queue that nobody consumes.

A queue can only be looked through by taking everything in hand and giving it back, so whoever looks does so alone, on a
connection of its own, and what it does not acknowledge is back when that ends.
"""

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha1
from typing import Any, NamedTuple

from pika import spec

from celery_rs._core import Envelope, amqp_changed, amqp_content, amqp_headers, amqp_of_envelope, open_amqp
from celery_rs.errors import OperationalError
from celery_rs.transports.amqp import ladder, topology
from celery_rs.transports.amqp import past as pasts
from celery_rs.transports.amqp.errors import LinkLost, Refused, in_exclusive_use
from celery_rs.transports.amqp.link import Channel, Item
from celery_rs.transports.amqp.past import past_of
from celery_rs.transports.amqp.publisher import CHANNEL, FRAME_MAX, Publisher
from celery_rs.transports.amqp.server import Server
from celery_rs.transports.amqp.unconfirmed import Publish
from celery_rs.transports.base import DeadLetter, DeadPage, Route
from celery_rs.transports.edit import with_arguments

_PATIENCE_S = 10.0


class _Letter(NamedTuple):
    number: int
    letter: DeadLetter
    properties: bytes
    body: bytes


class AmqpDeadLetters:
    """See `transports.base.DeadLetters`."""

    def __init__(self, server: Server, publisher: Publisher) -> None:
        self._server = server
        self._publisher = publisher

    def page(self, queue: str | None = None, after: str | None = None, limit: int = 100) -> DeadPage:
        with self._looking() as (_, letters):
            found = [each.letter for each in letters]
        found.sort(key=_place)
        wanted = [
            letter for letter in found if queue in (None, letter.queue) and (after is None or _place(letter) > after)
        ]
        page = wanted[:limit]
        return DeadPage(page, _place(page[-1]) if len(wanted) > limit else None)

    def get(self, id: str) -> DeadLetter:
        with self._looking() as (_, letters):
            for each in letters:
                if each.letter.id == id:
                    return each.letter
        raise KeyError(id)

    def retry(self, ids: Collection[str]) -> int:
        with self._looking() as (channel, letters):
            chosen = [each for each in letters if each.letter.id in ids]
            self._publish([_alive(each) for each in chosen])
            _drop(channel, chosen)
            return len({each.letter.id for each in chosen})

    def edit(self, id: str, args: Sequence[object], kwargs: Mapping[str, object]) -> None:
        with self._looking() as (channel, letters):
            chosen = [each for each in letters if each.letter.id == id]
            if not chosen:
                raise KeyError(id)
            properties, body = amqp_of_envelope(with_arguments(chosen[0].letter.envelope, args, kwargs))
            kept: dict[str, Any] = {
                name: value
                for name, value in amqp_headers(chosen[0].properties).items()
                if name in pasts.OURS and isinstance(value, str | int | float | bool)
            }
            kept |= {pasts.LETTER: id, pasts.QUEUE: chosen[0].letter.queue}
            route = Route("", topology.DEAD)
            self._publish([(route, amqp_changed(properties, headers=kept, delivery_mode=2), body)])
            _drop(channel, chosen)

    def purge(self, before: float | None = None) -> int:
        with self._looking() as (channel, letters):
            chosen = [each for each in letters if before is None or each.letter.died_at < before]
            _drop(channel, chosen)
            return len(chosen)

    def _publish(self, contents: Sequence[tuple[Route, bytes, bytes]]) -> None:
        publishes = [
            Publish(amqp_content(CHANNEL, FRAME_MAX, *route, True, properties, body), route, route.routing_key)
            for route, properties, body in contents
        ]
        if publishes:
            self._publisher.publish(publishes, stored=True, deadline=_PATIENCE_S)

    @contextmanager
    def _looking(self) -> Iterator[tuple[Channel, list[_Letter]]]:
        """Every dead letter, in the order of their deaths, in our hands alone."""
        link = self._server.open("celery-rs dead letters")
        try:
            channel = link.channel(1, _PATIENCE_S)
            items: list[Item] = []
            channel.on_item = items.append
            channel.call_all(topology.own_queues(), _PATIENCE_S)
            until = time.monotonic() + _PATIENCE_S
            while True:
                try:
                    consume = spec.Basic.Consume(queue=topology.DEAD, consumer_tag="dead", exclusive=True)
                    passive = spec.Queue.Declare(queue=topology.DEAD, passive=True)
                    declared, _ = channel.call_all([passive, consume], _PATIENCE_S)
                    break
                except Refused as error:
                    if not in_exclusive_use(error):
                        raise
                    if time.monotonic() > until:
                        raise OperationalError("somebody else looks through the dead letters; try again") from None
                    time.sleep(0.05)
                    channel = link.channel(1, _PATIENCE_S)
                    channel.on_item = items.append
            if not link.wait(lambda: len(items) >= declared.message_count, _PATIENCE_S):
                raise LinkLost(f"{link.place.words()} did not send its dead letters in time")
            yield channel, [_letter(item) for item in items if item[0] == "deliver"]
        finally:
            link.close()


def _place(letter: DeadLetter) -> str:
    """By the time of its death: it stays the same when it was edited, and when others have gone."""
    return f"{letter.died_at:020.6f} {letter.id}"


def _letter(item: Item) -> _Letter:
    _, _, _, number, _, exchange, routing_key, properties, body = item
    past = past_of(topology.DEAD, exchange, routing_key, properties)
    try:
        headers = amqp_headers(properties)
    except ValueError:
        headers = {}
    home = ladder.queue_in(exchange, routing_key)
    queue = past.queue if past.queue != topology.DEAD else home or routing_key
    came_by = (past.exchange, past.routing_key) if past.exchange or home is None else ("", home)
    if home is None and pasts.KEY in headers:
        came_by = (past.exchange, past.routing_key)
    (envelope,) = open_amqp([(came_by[0], came_by[1], False, past.properties, body)])
    opened = envelope if isinstance(envelope, Envelope) else None
    raw = envelope.raw
    letter = DeadLetter(
        id=str(headers.get(pasts.LETTER) or sha1(properties + body, usedforsecurity=False).hexdigest()),
        queue=queue,
        task=opened.task if opened else None,
        task_id=opened.id if opened else None,
        reason=str(headers.get(pasts.REASON) or "unroutable"),
        detail=str(headers.get(pasts.DETAIL) or f"its queue {queue!r} was gone when its time came"),
        crashes=past.crashes,
        deliveries=past.deliveries,
        died_at=_died_at(headers),
        envelope=raw,
    )
    return _Letter(number, letter, past.properties, body)


def _died_at(headers: Mapping[str, Any]) -> float:
    told = headers.get(pasts.DIED_AT)
    if isinstance(told, int | float):
        return float(told)
    deaths = headers.get("x-death")
    if isinstance(deaths, list) and deaths and isinstance(deaths[0], dict):
        at = deaths[0].get("time")
        if isinstance(at, int | float):
            return float(at)
    return time.time()


def _alive(letter: _Letter) -> tuple[Route, bytes, bytes]:
    return Route("", letter.letter.queue), letter.properties, letter.body


def _drop(channel: Channel, letters: Sequence[_Letter]) -> None:
    if letters:
        channel.post(*(spec.Basic.Ack(each.number) for each in letters))
