"""MessagePack: text and bytes kept apart, no types of one's own."""

from typing import Any

from celery_rs.errors import ContentError, EncodeError, ImproperlyConfigured
from celery_rs.serializers.optional import library


class MsgpackSerializer:
    """Small and quick, for plain data."""

    name = "msgpack"
    content_type = "application/x-msgpack"
    content_encoding = "binary"
    safe = True

    def dumps(self, value: object, name: str = "value") -> bytes:
        written = _msgpack()
        try:
            return written.packb(value, use_bin_type=True)  # type: ignore[no-any-return]  # of a module loaded by its name
        except Exception as error:
            raise EncodeError(f"{name} cannot be written as msgpack: {error}") from error

    def loads(self, data: bytes) -> Any:
        try:
            return _msgpack().unpackb(data, raw=False)
        except ImproperlyConfigured as error:
            raise ContentError(str(error)) from None
        except Exception as error:  # noqa: BLE001  (msgpack has errors of its own)
            raise ContentError(f"expected msgpack: {str(error) or type(error).__name__}") from None


def _msgpack() -> Any:
    return library("msgpack", "serializer 'msgpack'", "msgpack")
