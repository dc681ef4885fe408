"""JSON as Kombu writes and reads it: type tags for what JSON lacks, integers of any size, NaN and infinities.

The Rust core writes. orjson reads what it reads alike; text with type tags or long integers, and what it refuses
(NaN, single surrogates), is the standard library's.
"""

import json
from typing import Any

import orjson

from celery_rs._core import NotJson, is_plain_json, write_json
from celery_rs.errors import ContentError, EncodeError
from celery_rs.serializers.tags import TAGS

_decode = json.JSONDecoder().decode
_decode_tagged = json.JSONDecoder(object_hook=TAGS.restore).decode


class JsonSerializer:
    """The default serializer."""

    name = "json"
    content_type = "application/json"
    content_encoding = "utf-8"
    safe = True

    def dumps(self, value: object, name: str = "value") -> bytes:
        try:
            return write_json(value, TAGS.replace)
        except NotJson as error:
            raise EncodeError(f"{name}{error}") from error.__cause__

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
