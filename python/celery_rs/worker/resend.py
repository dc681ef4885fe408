"""A message once more, as its own retry, for a task whose process died: its body is not read, its headers are kept."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from celery_rs._core import Envelope
from celery_rs.execution import invented_id
from celery_rs.serializers import JSON
from celery_rs.transports import Outgoing, Route
from celery_rs.wire import Message

_ANEW = ("retries", "eta")


def as_retry(envelope: Envelope, *, due: float) -> Outgoing:
    """The retry of this message, at `due` (epoch seconds)."""
    headers: dict[str, Any] = JSON.loads(envelope.headers)
    message = Message(
        envelope.task,
        envelope.id,
        envelope.body,
        str(uuid4()),
        envelope.content_type,
        envelope.content_encoding,
        eta=datetime.fromtimestamp(due, UTC).isoformat(),
        retries=envelope.retries + 1,
        # These go over all others, and so keep everything but what is new.
        headers=JSON.dumps({name: value for name, value in headers.items() if name not in _ANEW}, "headers"),
        reply_to=envelope.reply_to or "",
        priority=envelope.priority,
    )
    once = invented_id(envelope.id, envelope.retries, 0)
    return Outgoing(message, Route(envelope.exchange, envelope.routing_key), due, once, envelope.expires)
