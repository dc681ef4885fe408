"""What a message says of its past: deaths, deliveries, and where it was first sent (pure).

RabbitMQ keeps two of these itself: `x-death`, one entry for each queue that a message has left by dying there, and in
quorum queues `x-delivery-count`. The rest are headers of ours, taken off again before anybody else sees the message.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from celery_rs._core import amqp_changed, amqp_headers
from celery_rs.transports.amqp import ladder, native_delay

BEGUN = "celery_rs.begun."
FALLEN = "celery_rs.fallen."
"""Queues of one worker: what it runs, and what it has lost the connection over."""

CRASHES = "x-crs-crashes"
DELIVERIES = "x-crs-deliveries"
QUEUE = "x-crs-queue"
EXCHANGE = "x-crs-exchange"
KEY = "x-crs-key"
TAG = "x-crs-tag"
LATE = "x-crs-late"
REDELIVERED = "x-crs-redelivered"
REASON = "x-crs-reason"
DETAIL = "x-crs-detail"
DIED_AT = "x-crs-died-at"
LETTER = "x-crs-letter"
_DEATHS = ("x-delivery-count", "x-death", "x-first-death-exchange", "x-first-death-queue", "x-first-death-reason")
OURS = (CRASHES, DELIVERIES, QUEUE, EXCHANGE, KEY, TAG, LATE, REDELIVERED, REASON, DETAIL, DIED_AT, LETTER)
_MARKS = re.compile(rb"x-(?:crs-|death|delivery-count)")


class Past(NamedTuple):
    """`returns` is how often a quorum queue has taken it back; `tag` and `late` belong to the copy of begun work."""

    queue: str
    exchange: str
    routing_key: str
    properties: bytes
    crashes: int = 0
    deliveries: int = 0
    returns: int = 0
    tag: str | None = None
    late: bool = False
    redelivered: bool = False


def past_of(queue: str, exchange: str, routing_key: str, properties: bytes) -> Past:
    """Of a message that came from `queue` by this exchange and key. Headers that cannot be read say nothing."""
    if exchange:
        home = ladder.queue_in(exchange, routing_key)
        if home is None and native_delay.is_delayed(exchange, routing_key):
            home = queue
        if home is not None:
            exchange, routing_key = "", home
    if not _MARKS.search(properties):
        return Past(queue, exchange, routing_key, properties)
    try:
        headers = amqp_headers(properties)
    except ValueError:
        return Past(queue, exchange, routing_key, properties)
    returns = _count(headers.get("x-delivery-count"))
    return Past(
        queue=_text(headers.get(QUEUE)) or queue,
        exchange=_text(headers.get(EXCHANGE), exchange),
        routing_key=_text(headers.get(KEY)) or routing_key,
        properties=amqp_changed(properties, without=[name for name in (*OURS, *_DEATHS) if name in headers]),
        crashes=_count(headers.get(CRASHES)) + _fallen(headers),
        deliveries=_count(headers.get(DELIVERIES)) + returns,
        returns=returns,
        tag=_text(headers.get(TAG)) or None,
        late=headers.get(LATE) is True,
        redelivered=headers.get(REDELIVERED) is True,
    )


def _fallen(headers: Mapping[str, Any]) -> int:
    """How many workers have died over it."""
    deaths = headers.get("x-death")
    if not isinstance(deaths, list):
        return 0
    return sum(
        _count(death.get("count"))
        for death in deaths
        if isinstance(death, dict) and str(death.get("queue")).startswith(FALLEN)
    )


def _count(value: object) -> int:
    return max(value, 0) if isinstance(value, int) else 0


def _text(value: object, missing: str = "") -> str:
    return value if isinstance(value, str) else missing
