"""The envelope of what is announced rather than queued: control requests, replies and events.

Anybody who reaches the broker may write to these exchanges, so every value is looked at. Bodies are JSON; nothing else
is accepted.
"""

import base64
import json
from collections.abc import Mapping
from typing import Any, NamedTuple
from uuid import uuid4

_JSON = "application/json"


class Unreadable(NamedTuple):
    """A message that cannot be read, and why, in one line."""

    reason: str


class Wrong(ValueError):
    """What was expected, and what came (shortened)."""

    def __init__(self, expected: str, came: object) -> None:
        text = repr(came)
        super().__init__(f"{expected} {text if len(text) <= 120 else text[:120] + '...'}")


def seal(body: Any, headers: Mapping[str, Any], exchange: str, routing_key: str, *, delivery_mode: int) -> bytes:
    """Raises TypeError, ValueError or RecursionError for a body that JSON cannot carry."""
    # A value that JSON does not know travels as its repr: all of this is read by people.
    encoded = base64.b64encode(json.dumps(body, default=repr).encode())
    envelope = {
        "body": encoded.decode(),
        "content-encoding": "utf-8",
        "content-type": _JSON,
        "headers": headers,
        "properties": {
            "delivery_mode": delivery_mode,
            "delivery_info": {"exchange": exchange, "routing_key": routing_key},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": str(uuid4()),
        },
    }
    return json.dumps(envelope).encode()


def open_body(raw: bytes) -> tuple[dict[str, Any], Any]:
    """Headers and body of an envelope. Raises Wrong."""
    headers, text = _open(raw)
    return headers, _value(text)


def open_object(raw: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """The same where the body must be an object. Raises Wrong."""
    headers, text = _open(raw)
    return headers, _object(text)


class Content(NamedTuple):
    """An envelope, opened; its body is still serialized."""

    content_type: str
    content_encoding: str
    headers: dict[str, Any]
    properties: dict[str, Any]
    body: bytes


def open_content(raw: bytes, only: str | None = None) -> Content:
    """Raises Wrong, also for a content type that is not the `only` one."""
    envelope = _object(raw)
    content_type, encoding = envelope.get("content-type"), envelope.get("content-encoding")
    if only is not None and content_type != only:
        raise Wrong(f"expected content type {only!r}, got", content_type)
    headers = envelope.get("headers") or {}
    properties = envelope.get("properties") or {}
    body = envelope.get("body")
    if not isinstance(headers, dict) or not isinstance(properties, dict) or not isinstance(body, str):
        raise Wrong("expected headers, properties and body, got", raw)
    if not isinstance(content_type, str) or not isinstance(encoding, str | None):
        raise Wrong("expected content type and encoding as text, got", (content_type, encoding))
    try:
        packed = base64.b64decode(body, validate=True) if properties.get("body_encoding") == "base64" else body.encode()
    except ValueError:
        raise Wrong("expected a body in base64, got", body) from None
    return Content(content_type, encoding or "utf-8", headers, properties, packed)


def _open(raw: bytes) -> tuple[dict[str, Any], bytes]:
    content = open_content(raw, _JSON)
    return content.headers, content.body


def _object(text: bytes | str) -> dict[str, Any]:
    value = _value(text)
    if not isinstance(value, dict):
        raise Wrong("expected a JSON object, got", text)
    return value


def _value(text: bytes | str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise Wrong("expected a JSON object, got", text) from None
