"""BSON, for results in a MongoDB, which keeps them as they are: `result_serializer = "bson"`."""

from typing import Any

from celery_rs.errors import ContentError, EncodeError, ImproperlyConfigured
from celery_rs.serializers.optional import library

_WRAPPED = "value"
"""BSON is of documents: any other value is the one field of one."""


class BsonSerializer:
    """Plain data, times to the millisecond, and bytes."""

    name = "bson"
    content_type = "application/bson"
    content_encoding = "binary"
    safe = True

    def dumps(self, value: object, name: str = "value") -> bytes:
        written = _bson()
        try:
            return written.encode({_WRAPPED: value})  # type: ignore[no-any-return]  # of a module loaded by its name
        except Exception as error:
            raise EncodeError(f"{name} cannot be written as BSON: {error}") from error

    def loads(self, data: bytes) -> Any:
        try:
            found = _bson().decode(data, library("bson.codec_options", _NEEDED, "mongodb").CodecOptions(tz_aware=True))
            return found[_WRAPPED]
        except ImproperlyConfigured as error:
            raise ContentError(str(error)) from None
        except Exception as error:  # noqa: BLE001  (bson has errors of its own)
            raise ContentError(f"expected BSON: {str(error) or type(error).__name__}") from None


_NEEDED = "serializer 'bson'"


def _bson() -> Any:
    return library("bson", _NEEDED, "mongodb")
