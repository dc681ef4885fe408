"""Messages to publish, and the ids of those that arrive."""

from collections.abc import Sequence
from typing import Any

from celery_rs._core import Envelope
from celery_rs.transports import Delivery, Outgoing, Route
from tests.messages import message


def call(id: str, queue: str = "q", *, exchange: str = "", **options: Any) -> Outgoing:
    """A message for a queue; `not_before`, `once` and `expires` belong to the transport, the rest to the message."""
    own = {name: options.pop(name) for name in ("not_before", "once", "expires") if name in options}
    return Outgoing(message(id=id, **options), Route(exchange, queue), **own)


def opened(delivery: Delivery) -> Envelope:
    assert isinstance(delivery.envelope, Envelope)
    return delivery.envelope


def ids(deliveries: Sequence[Delivery]) -> list[str]:
    return [opened(delivery).id for delivery in deliveries]
