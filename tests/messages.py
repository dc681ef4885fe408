"""Deliveries for tests of pure code: real envelopes, sealed and opened by the extension."""

from itertools import count
from typing import Any

from celery_rs import _core
from celery_rs.transports import Delivery
from celery_rs.wire import Message

_numbers = count(1)


def message(task: str = "proj.add", id: str | None = None, body: bytes = b"[[], {}, {}]", **fields: Any) -> Message:
    """A message whose id and delivery tag are its own."""
    number = next(_numbers)
    return Message(task, id or f"id-{number}", body, f"delivery-{number}", **fields)


def envelope(*args: Any, **fields: Any) -> _core.Envelope:
    """The same as a worker sees it."""
    (raw,) = _core.seal_envelopes([message(*args, **fields)], [("", "celery")])
    (opened,) = _core.open_envelopes([raw])
    assert isinstance(opened, _core.Envelope)
    return opened


def delivery(
    *args: Any, tag: str | None = None, queue: str = "celery", crashes: int = 0, deliveries: int = 1, **fields: Any
) -> Delivery:
    """A reserved message with a tag of its own."""
    return Delivery(
        tag or f"test.1.{next(_numbers)}", queue, envelope(*args, **fields), crashes=crashes, deliveries=deliveries
    )
