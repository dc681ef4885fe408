"""Protocol 1 and the half-way form: an envelope of today's protocol is made of one of theirs, and the other way round.

In protocol 1 the body is a mapping that holds everything, and the headers say nothing; in the half-way form the headers
do say what protocol 2 says, and win. Nobody sends these any more but what is older than Celery 4, or not Python.
"""

import base64
from collections.abc import Collection, Mapping
from datetime import datetime, tzinfo
from typing import Any

from celery_rs.errors import CeleryError, InvalidTaskError
from celery_rs.serializers import JSON, compress, decompress, reader, serializer
from celery_rs.wire.message import Message
from celery_rs.wire.previews import preview

_SAID = ("task", "id", "shadow", "eta", "expires", "group_index", "retries", "root_id", "parent_id", "origin")
_EMBED = ("callbacks", "errbacks", "chord")


def as_protocol_2(raw: bytes, accept: Collection[str], local: tzinfo | None) -> bytes:
    """The envelope with headers and a body of protocol 2; properties stay as they are.

    `accept` holds the content types that may be read, `local` is the zone of times that say they are not UTC. Raises
    InvalidTaskError when it is not such a message, and ContentDisallowed.
    """
    try:
        envelope = _object(JSON.loads(raw), "an envelope")
        properties = _object(envelope.get("properties", {}), "properties")
        headers = dict(_object(envelope.get("headers", {}), "headers"))
        compression = headers.pop("compression", None)
        packed = _body(envelope.get("body"), properties.get("body_encoding"))
        content_type = envelope.get("content-type") or "application/data"
        language = reader(str(content_type), accept)
        said = _object(
            language.loads(packed if compression is None else decompress(packed, compression)),
            "a body of protocol 1",
        )
        args, kwargs = said.get("args") or [], said.get("kwargs") or {}
        if not isinstance(args, list | tuple) or not isinstance(kwargs, Mapping):
            raise InvalidTaskError(f"expected args and kwargs, got {preview([args, kwargs], 80)}")
        embed = {"chain": None} | {name: said.get(name) for name in _EMBED}
        body = language.dumps([args, kwargs, embed])
        written = JSON.dumps(
            dict(envelope)
            | {
                "body": base64.b64encode(body).decode("ascii"),
                "content-type": language.content_type,
                "content-encoding": language.content_encoding,
                "headers": _headers(said, args, kwargs, local) | headers,
                "properties": dict(properties) | {"body_encoding": "base64"},
            }
        )
    except (ValueError, RecursionError) as error:
        raise InvalidTaskError(str(error)) from error
    return written


def as_protocol_1(message: Message) -> Message:
    """The same call with everything in its body, for workers older than Celery 4; the rest of protocol 2 is lost."""
    packed = message.body if message.compression is None else decompress(message.body, message.compression)
    writer = serializer(message.content_type)
    args, kwargs, embed = writer.loads(packed)
    body = writer.dumps(
        {
            "task": message.task,
            "id": message.id,
            "args": args,
            "kwargs": kwargs,
            "group": message.group,
            "group_index": message.group_index,
            "retries": message.retries,
            "eta": message.eta,
            "expires": message.expires,
            "utc": True,
            "callbacks": embed.get("callbacks"),
            "errbacks": embed.get("errbacks"),
            "timelimit": [message.hard_limit, message.soft_limit],
            "taskset": message.group,
            "chord": embed.get("chord"),
        }
    )
    return message._replace(
        body=body if message.compression is None else compress(body, message.compression), protocol=1
    )


def id_of(raw: bytes) -> str | None:
    """The task's id, if anything in the envelope tells it: what cannot be opened may have a caller who waits."""
    return _told(raw, ("headers", "id"), ("properties", "correlation_id"))


def reply_to_of(raw: bytes) -> str:
    """Where that caller wants the result sent, if the envelope tells it."""
    return _told(raw, ("properties", "reply_to")) or ""


def _told(raw: bytes, *places: tuple[str, str]) -> str | None:
    """The first text in these parts of an envelope, by these names."""
    if not raw.lstrip().startswith(b"{"):
        return None
    try:
        envelope = _object(JSON.loads(raw), "an envelope")
    except (CeleryError, ValueError, RecursionError):
        return None
    for part, name in places:
        where = envelope.get(part)
        found = where.get(name) if isinstance(where, Mapping) else None
        if isinstance(found, str) and found and _can_be_written(found):
            return found
    return None


def _can_be_written(text: str) -> bool:
    """JSON may hold half a surrogate pair, which no store and no broker takes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _headers(said: Mapping[str, Any], args: Any, kwargs: Any, local: tzinfo | None) -> dict[str, Any]:
    headers = {"lang": "py"} | {name: said.get(name) for name in _SAID}
    if not said.get("utc", True):
        headers |= {name: _placed(said.get(name), local) for name in ("eta", "expires")}
    return headers | {
        "group": said.get("taskset") or said.get("group"),
        "retries": said.get("retries") or 0,
        "timelimit": said.get("timelimit") or [None, None],
        "argsrepr": preview(tuple(args)),
        "kwargsrepr": preview(dict(kwargs)),
    }


def _placed(moment: Any, local: tzinfo | None) -> Any:
    """A time without a zone gets one; what is no time is left for who reads the headers to refuse."""
    if not isinstance(moment, str):
        return moment
    try:
        parsed = datetime.fromisoformat(moment)
    except ValueError:
        return moment
    if parsed.tzinfo is not None:
        return moment
    return (parsed.astimezone() if local is None else parsed.replace(tzinfo=local)).isoformat()


def _body(given: Any, encoding: Any) -> bytes:
    if not isinstance(given, str):
        raise InvalidTaskError(f"expected a body of text, got {preview(given, 80)}")
    return base64.b64decode("".join(given.split()), validate=True) if encoding == "base64" else given.encode()


def _object(given: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise InvalidTaskError(f"expected {what}, got {preview(given, 80)}")
    return given
