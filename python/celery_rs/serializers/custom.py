"""A serializer made of two functions, as Kombu's `register` takes them."""

from collections.abc import Callable
from typing import Any

from celery_rs.errors import ContentError, EncodeError
from celery_rs.serializers.raw import RawSerializer

Encoder = Callable[[Any], str | bytes]
Decoder = Callable[[Any], Any]


class CustomSerializer:
    """Without an encoder it only reads; without a decoder what it reads stays text or bytes."""

    safe = False

    def __init__(
        self, name: str, encoder: Encoder | None, decoder: Decoder | None, content_type: str, content_encoding: str
    ) -> None:
        self.name = name
        self.content_type = content_type
        self.content_encoding = content_encoding
        self._encoder = encoder
        self._decoder = decoder

    def dumps(self, value: object, name: str = "value") -> bytes:
        if self._encoder is None:
            raise EncodeError(f"serializer {self.name!r} was registered without an encoder: it only reads")
        try:
            written: object = self._encoder(value)
        except Exception as error:
            raise EncodeError(f"{name} cannot be written by serializer {self.name!r}: {error}") from error
        if isinstance(written, str):
            return written.encode("utf-8", "surrogatepass")
        if isinstance(written, bytes | bytearray | memoryview):
            return bytes(written)
        kind = type(written).__name__
        raise EncodeError(f"the encoder of serializer {self.name!r} must return text or bytes, it returned a {kind}")

    def loads(self, data: bytes) -> Any:
        if self._decoder is None:
            return RawSerializer(self.content_type, self.content_encoding).loads(data)
        try:
            return self._decoder(data)
        except Exception as error:
            raise ContentError(f"serializer {self.name!r} cannot read the content: {error}") from error
