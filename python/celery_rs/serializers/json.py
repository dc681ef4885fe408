"""JSON as Kombu writes and reads it: type tags for what JSON lacks, integers of any size, NaN and infinities.

The standard library writes, because orjson turns NaN into null and UUIDs into strings. orjson reads what it reads
alike; text with type tags or long integers, and what it refuses (NaN, single surrogates), is the standard library's.
"""

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

import orjson

from celery_rs._core import is_plain_json
from celery_rs.errors import ContentError, EncodeError

_TAGGED = {"__type__", "__value__"}


def _tag(type_name: str, value: object) -> dict[str, object]:
    return {"__type__": type_name, "__value__": value}


def _tag_bytes(value: bytes) -> dict[str, object]:
    try:
        return _tag("bytes", value.decode("utf-8"))
    except UnicodeDecodeError:
        return _tag("base64", base64.b64encode(value).decode("ascii"))


# datetime before date: it is one
_TAGGERS: tuple[tuple[type, Callable[[Any], object]], ...] = (
    (datetime, lambda value: _tag("datetime", value.isoformat())),
    (date, lambda value: _tag("date", value.isoformat())),
    (time, lambda value: _tag("time", value.isoformat())),
    (Decimal, lambda value: _tag("decimal", str(value))),
    (UUID, lambda value: _tag("uuid", {"hex": value.hex})),
    (bytes, _tag_bytes),
)

_UNTAGGERS: dict[str, Callable[[Any], object]] = {
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "decimal": Decimal,
    "uuid": lambda value: UUID(hex=value["hex"]),
    "bytes": lambda value: value.encode("utf-8"),
    "base64": lambda value: base64.b64decode(value, validate=True),
}


def _default(value: Any) -> object:
    """What to write for a value that JSON lacks."""
    own = getattr(value, "__json__", None)
    if own is not None and not isinstance(value, type):
        try:
            return own()
        except Exception as error:
            raise TypeError(f"__json__ of {type(value).__name__} failed: {error!r}") from error
    for kind, tagger in _TAGGERS:
        if isinstance(value, kind):
            return tagger(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


def _untag(mapping: dict[str, Any]) -> object:
    if len(mapping) != 2 or mapping.keys() != _TAGGED:
        return mapping
    untagger = _UNTAGGERS.get(mapping["__type__"]) if isinstance(mapping["__type__"], str) else None
    if untagger is None:
        raise ContentError(f"unknown type tag {mapping['__type__']!r}, expected one of {', '.join(_UNTAGGERS)}")
    try:
        return untagger(mapping["__value__"])
    except (ValueError, TypeError, KeyError, AttributeError, InvalidOperation, binascii.Error) as error:
        raise ContentError(f"{mapping['__value__']!r} is not a {mapping['__type__']}: {error}") from None


_encode = json.JSONEncoder(default=_default).encode
_decode = json.JSONDecoder().decode
_decode_tagged = json.JSONDecoder(object_hook=_untag).decode


class JsonSerializer:
    """The default serializer."""

    name = "json"
    content_type = "application/json"
    content_encoding = "utf-8"

    def dumps(self, value: object, name: str = "value") -> bytes:
        try:
            return _encode(value).encode("ascii")
        except (TypeError, ValueError, RecursionError) as error:
            raise EncodeError(_culprit(value, name, error)) from None
        except Exception as error:  # what a container of the user's own raises when it is read
            raise EncodeError(f"{name} cannot be read for JSON: {type(error).__name__}: {error}") from error

    def loads(self, data: bytes) -> Any:
        try:
            if is_plain_json(data):
                try:
                    return orjson.loads(data)
                except orjson.JSONDecodeError:
                    return _decode(data.decode("utf-8-sig"))
            text = data.decode("utf-8-sig")
            # A tag's name cannot hide behind escapes: nobody writes "\u005f" for an underscore.
            return _decode_tagged(text) if b'"__type__"' in data else _decode(text)
        except (ValueError, RecursionError) as error:
            raise ContentError(f"expected JSON: {_reason(error)}, got {_start(data)}") from None


def _reason(error: Exception) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


def _start(data: bytes) -> str:
    return repr(data if len(data) <= 80 else data[:80] + b"...")


def _culprit(value: object, name: str, error: Exception) -> str:
    """The path of the first value that cannot be written, and why: `args[1]['when']: complex is not JSON`."""
    if isinstance(error, RecursionError):
        return f"{name} is nested too deeply for JSON"
    if "Circular reference" in str(error):
        return f"{name} contains itself; JSON cannot"
    try:
        return _search(value, name) or f"{name}: {error}"
    except Exception:  # noqa: BLE001  (the user's own containers and reprs; what went wrong first is known)
        return f"{name}: {error}"


def _search(value: Any, path: str) -> str | None:
    if isinstance(value, Mapping) and isinstance(value, dict):
        return next((found for key, item in value.items() if (found := _search_item(key, item, path))), None)
    if isinstance(value, list | tuple):
        return next((found for i, item in enumerate(value) if (found := _search(item, f"{path}[{i}]"))), None)
    if value is None or isinstance(value, str | int | float):
        return None
    try:
        replaced = _default(value)
    except TypeError as error:
        return f"{path}: {error}"
    return None if replaced is value else _search(replaced, path)


def _search_item(key: object, item: object, path: str) -> str | None:
    if key is not None and not isinstance(key, str | int | float):
        return f"{path}: key {key!r} is a {type(key).__name__}, and keys must be strings or numbers"
    return _search(item, f"{path}[{key!r}]")
