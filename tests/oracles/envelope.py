"""What `open_envelopes` and `seal_envelopes` must do, said with Python's own `json`."""

import base64
import binascii
import json
import math
from collections.abc import Mapping
from typing import Any

from celery_rs.wire.message import Message
from tests.oracles.timestamp import timestamp


class Refused(ValueError):
    """The oracle would not open it."""


def open_envelope(raw: bytes) -> dict[str, Any]:
    """Every field of an `Envelope` except `raw`; the JSON parts as values. Raises `Refused`."""
    try:
        envelope = expect(json.loads(raw.decode("utf-8")), dict)
    except (ValueError, RecursionError) as error:
        raise Refused(str(error)) from error
    headers = expect(envelope.get("headers"), dict)
    properties = expect(envelope.get("properties", {}), dict)
    route = properties.get("delivery_info")
    route = route if isinstance(route, dict) else {}
    hard_limit, soft_limit = limits(headers.get("timelimit"))
    eta, expires = time(headers.get("eta")), time(headers.get("expires"))
    content = body(expect(text(envelope.get("body")), str), text(properties.get("body_encoding")))
    return {
        "id": expect(text(headers.get("id")), str),
        "task": expect(text(headers.get("task")), str),
        "eta": eta,
        "expires": expires,
        "retries": integer(headers.get("retries")),
        "soft_limit": soft_limit,
        "hard_limit": hard_limit,
        "is_timed": any(value is not None for value in (eta, expires, soft_limit, hard_limit)),
        "priority": integer(properties.get("priority")),
        "ignore_result": flag(headers.get("ignore_result")),
        "group": text(headers.get("group")),
        "root_id": text(headers.get("root_id")),
        "parent_id": text(headers.get("parent_id")),
        "shadow": shown(headers.get("shadow")),
        "argsrepr": shown(headers.get("argsrepr")) or "",
        "kwargsrepr": shown(headers.get("kwargsrepr")) or "",
        "reply_to": text(properties.get("reply_to")),
        "content_type": text(envelope.get("content-type")) or "application/data",
        "content_encoding": text(envelope.get("content-encoding")) or "utf-8",
        "compression": text(headers.get("compression")),
        "exchange": text(route.get("exchange")) or "",
        "routing_key": text(route.get("routing_key")) or "",
        "headers": headers,
        "properties": properties,
        "body": content,
        # What Rust calls ASCII whitespace, one byte fewer than Python does.
        "has_past": "redelivered" in headers
        or "redelivered" in route
        or any(name.startswith("crs_") for name in properties),
        "is_mapping": content.lstrip(b" \t\n\r\x0c").startswith(b"{"),
    }


def expect(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise Refused(f"{value!r} is not a {kind.__name__}")
    return value


def shown(value: Any) -> str | None:
    """Text for people; a surrogate that stands alone cannot be shown."""
    if value is None:
        return None
    return "".join(
        "\N{REPLACEMENT CHARACTER}" if "\ud800" <= letter <= "\udfff" else letter for letter in expect(value, str)
    )


def text(value: Any) -> str | None:
    if shown(value) != value:
        raise Refused(f"{value!r} has a single surrogate")
    return value  # type: ignore[no-any-return]  # None or str, as shown() has checked


def time(value: Any) -> float | None:
    moment = shown(value)
    if not moment:
        return None
    try:
        return timestamp(moment)
    except ValueError as error:
        raise Refused(str(error)) from error


def integer(value: Any) -> int:
    if value is None:
        return 0
    if type(value) is not int or not -(2**63) <= value < 2**63:
        raise Refused(f"{value!r} is not an integer of 64 bits")
    return value


def flag(value: Any) -> bool | None:
    if value not in (None, True, False) or type(value) in (int, float):
        raise Refused(f"{value!r} is not a flag")
    return value  # type: ignore[no-any-return]  # checked above


def limits(value: Any) -> tuple[float | None, float | None]:
    if value is None or value == []:
        return None, None
    if not isinstance(value, list) or len(value) != 2:
        raise Refused(f"{value!r} is not [hard, soft]")
    return seconds(value[0]), seconds(value[1])


def seconds(value: Any) -> float | None:
    if value is None:
        return None
    try:
        fits = type(value) in (int, float) and math.isfinite(value) and value >= 0
    except OverflowError:
        fits = False
    if not fits:
        raise Refused(f"{value!r} is not a limit")
    return abs(float(value))


def body(value: str, encoding: str | None) -> bytes:
    if encoding == "base64":
        try:
            return base64.b64decode("".join(value.split()), validate=True)
        except (ValueError, binascii.Error) as error:
            raise Refused(str(error)) from error
    if encoding not in (None, "", "utf-8"):
        raise Refused(f"{encoding!r} is not an encoding")
    return value.encode()


def seal_envelope(message: Message, exchange: str, routing_key: str) -> bytes:
    """The envelope as Celery puts it together and Kombu's codec writes it."""
    headers: dict[str, Any] = {
        "lang": "py",
        "task": message.task,
        "id": message.id,
        "shadow": message.shadow,
        "eta": message.eta,
        "expires": message.expires,
        "group": message.group,
        "group_index": message.group_index,
        "retries": message.retries,
        "timelimit": [message.hard_limit, message.soft_limit],
        "root_id": message.root_id,
        "parent_id": message.parent_id,
        "argsrepr": message.argsrepr,
        "kwargsrepr": message.kwargsrepr,
        "origin": message.origin,
        "ignore_result": message.ignore_result,
        "replaced_task_nesting": message.replaced_task_nesting,
        "stamped_headers": message.stamped_headers,
        "stamps": json.loads(message.stamps),
    }
    if message.protocol == 1:
        headers = {}
    headers |= json.loads(message.headers or b"{}")
    if message.compression is not None:
        headers.pop("compression", None)
        headers["compression"] = message.compression
    properties: dict[str, Any] = {
        "correlation_id": message.id,
        "reply_to": message.reply_to,
        "delivery_mode": message.delivery_mode,
        "expiration": message.expiration,
        "delivery_info": {"exchange": exchange, "routing_key": routing_key},
        "priority": message.priority,
        "body_encoding": "base64",
        "delivery_tag": message.delivery_tag,
    }
    if message.expiration is None:
        del properties["expiration"]
    envelope: Mapping[str, Any] = {
        "body": base64.b64encode(message.body).decode(),
        "content-encoding": message.content_encoding,
        "content-type": message.content_type,
        "headers": headers,
        "properties": properties,
    }
    return json.dumps(envelope).encode()
