"""Content that nobody serialized: bytes, or text in the encoding that its message names."""

from typing import Any

from celery_rs.errors import ContentError, EncodeError

TRUSTED = frozenset({"application/data", "application/text"})
"""Never refused: reading it runs nothing."""

TYPES = TRUSTED | {"text/plain"}
_BYTES = frozenset({"binary", "ascii-8bit"})


class RawSerializer:
    """What a content type without a decoder is read by, as Kombu does."""

    safe = True

    def __init__(self, content_type: str = "application/data", content_encoding: str = "binary") -> None:
        self.name = "raw"
        self.content_type = content_type
        self.content_encoding = content_encoding

    def dumps(self, value: object, name: str = "value") -> bytes:
        if isinstance(value, bytes):
            return value
        if isinstance(value, str):
            return value.encode("utf-8", "surrogatepass")
        raise EncodeError(f"{name} must be bytes or text to travel as it is, got {type(value).__name__}")

    def loads(self, data: bytes) -> Any:
        encoding = (self.content_encoding or "utf-8").lower()
        if encoding in _BYTES:
            return data
        try:
            return data.decode(encoding)
        except (ValueError, LookupError) as error:
            raise ContentError(f"the content is not text in {encoding!r}: {error}") from None
