"""A message that is sent once more: its body is not read, and its headers stay as they came."""

from typing import Any

from celery_rs._core import Envelope, new_id
from celery_rs.serializers import JSON
from celery_rs.wire.message import Message

_PERSISTENT = 2


def copied(envelope: Envelope, **changed: Any) -> Message:
    """The envelope's message with other values for the fields that `changed` names; headers of their names give way."""
    headers = envelope.headers
    if changed:
        read = JSON.loads(headers)
        headers = JSON.dumps({name: value for name, value in read.items() if name not in changed}, "headers")
    properties = JSON.loads(envelope.properties)
    mode, expiration = properties.get("delivery_mode"), properties.get("expiration")
    fields: dict[str, Any] = {
        "content_type": envelope.content_type,
        "content_encoding": envelope.content_encoding,
        "headers": headers,  # written last, they replace the defaults of all other fields
        "reply_to": envelope.reply_to or "",
        "priority": envelope.priority,
        # Anybody may have written these: what makes no sense could not be written again.
        "delivery_mode": mode if type(mode) is int and mode in (1, 2) else _PERSISTENT,
        "expiration": expiration if isinstance(expiration, str) else None,
    }
    return Message(envelope.task, envelope.id, envelope.body, new_id(), **(fields | changed))
