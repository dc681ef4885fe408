"""What a message says of its own past, and how it is told what happened to it. Pure.

Kombu's flag says that it comes again. How often its runner has died and how often it was delivered stand beside it,
in properties of ours, where they exist. Nothing of the rest changes but its spelling.
"""

import json
from typing import Any, NamedTuple

from celery_rs._core import DecodeError, Envelope

CRASHES = "crs_crashes"
DELIVERIES = "crs_deliveries"


class Past(NamedTuple):
    """`deliveries` are those before the present one."""

    redelivered: bool = False
    crashes: int = 0
    deliveries: int = 0


NEW = Past()


def past(envelope: Envelope | DecodeError) -> Past:
    """Most messages have none, and are not parsed for it."""
    if isinstance(envelope, Envelope) and not envelope.has_past:
        return NEW
    fields = _object(envelope.raw)
    properties = _within(fields, "properties")
    again = _within(properties, "delivery_info").get("redelivered") or _within(fields, "headers").get("redelivered")
    return Past(bool(again), _count(properties.get(CRASHES)), _count(properties.get(DELIVERIES)))


def with_past(raw: bytes, now: Past) -> bytes:
    """The envelope with another past; one that is no JSON object stays as it is."""
    fields = _object(raw)
    if not isinstance(fields.get("properties"), dict):
        return raw
    properties = fields["properties"]
    for name, count in ((CRASHES, now.crashes), (DELIVERIES, now.deliveries)):
        properties.pop(name, None)
        if count:
            properties[name] = count
    for holder, parent in ((properties.get("delivery_info"), properties), (fields.get("headers"), fields)):
        if now.redelivered and isinstance(holder, dict):
            holder["redelivered"] = True
        elif isinstance(holder, dict):
            holder.pop("redelivered", None)
        elif now.redelivered and holder is None and parent is properties:
            properties["delivery_info"] = {"redelivered": True}
    return json.dumps(fields).encode()


def _object(raw: bytes) -> dict[str, Any]:
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _within(fields: dict[str, Any], name: str) -> dict[str, Any]:
    value = fields.get(name)
    return value if isinstance(value, dict) else {}


def _count(value: Any) -> int:
    return value if type(value) is int and value > 0 else 0
