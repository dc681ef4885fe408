"""Work that has begun, kept where the broker itself notices the death of its worker (pure: methods and contents).

A worker has two queues of its own. What it begins is copied to the first and stays there, delivered and not
acknowledged, until it is finished. When the connection ends the copies are too old for that queue and fall into the
second. If the worker comes back it finds them there, and goes on. If it does not, they leave the second after a
while: late work to its own queue, which anybody's workers consume, early work to the orphans.
"""

from typing import Any

from pika import spec

from celery_rs._core import amqp_changed
from celery_rs.transports.amqp.past import (
    BEGUN,
    CRASHES,
    DELIVERIES,
    EXCHANGE,
    FALLEN,
    KEY,
    LATE,
    QUEUE,
    REDELIVERED,
    TAG,
    Past,
)
from celery_rs.transports.amqp.topology import ORPHANS

_FORGOTTEN_MS = 3_600_000


class OwnQueues:
    """The queues of one consumer. `pick_up_s` is how long a copy may take to arrive, `grace_s` to come back."""

    def __init__(self, consumer: str, *, pick_up_s: float, grace_s: float) -> None:
        self.begun = BEGUN + consumer
        self.fallen = FALLEN + consumer
        self._pick_up_ms = round(pick_up_s * 1000)
        self._grace_ms = round(grace_s * 1000)

    def declarations(self) -> list[Any]:
        return [
            *self._queue(self.fallen, self._grace_ms, ""),
            *self._queue(self.begun, self._pick_up_ms, self.fallen),
        ]

    @staticmethod
    def _queue(name: str, ttl_ms: int, after: str) -> list[Any]:
        arguments = {"x-message-ttl": ttl_ms, "x-dead-letter-exchange": after, "x-expires": _FORGOTTEN_MS}
        return [
            spec.Exchange.Declare(exchange=name, type="fanout", durable=True, auto_delete=True),
            spec.Queue.Declare(queue=name, durable=True, arguments=arguments),
            spec.Queue.Bind(queue=name, exchange=name, routing_key=""),
        ]


def copy_of(past: Past, tag: str, *, late: bool) -> tuple[str, bytes]:
    """The routing key that brings the copy to its place when its worker is dead, and its properties."""
    headers: dict[str, str | int | float | bool | None] = {
        QUEUE: past.queue,
        EXCHANGE: past.exchange,
        KEY: past.routing_key,
        TAG: tag,
        LATE: late,
        CRASHES: past.crashes,
        DELIVERIES: past.deliveries + 1,
    }
    return past.queue if late else ORPHANS, amqp_changed(past.properties, headers=headers, expiration="")


def again(past: Past, *, redelivered: bool, crashes: int = 0, delivered: bool = False) -> bytes:
    """The properties of a message that goes back to its queue by being published again.

    What a quorum queue has counted is forgotten: that was mostly workers who stopped and had not begun it.
    """
    headers: dict[str, str | int | float | bool | None] = {
        CRASHES: past.crashes + crashes,
        DELIVERIES: past.deliveries - past.returns + delivered,
        REDELIVERED: redelivered,
    }
    if past.exchange:
        headers |= {EXCHANGE: past.exchange, KEY: past.routing_key}
    kept = {name: value for name, value in headers.items() if value != 0}
    return amqp_changed(past.properties, headers=kept) if kept else past.properties
