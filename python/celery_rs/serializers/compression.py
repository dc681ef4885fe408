"""Bodies that travel compressed: by the names of Celery, and as the header `compression` names them.

What Celery calls gzip is a bare zlib stream. A method's library is loaded at its first use.
"""

from typing import Any, NamedTuple

from celery_rs.errors import ContentError, ImproperlyConfigured
from celery_rs.serializers.optional import library

_PACKED = b"\x00celery-compressed\x00"


class _Method(NamedTuple):
    """`module` has functions compress(bytes) and decompress(bytes); `extra` is what of ours brings it."""

    module: str
    extra: str | None = None


_METHODS = {
    "application/x-gzip": _Method("zlib"),
    "application/x-bz2": _Method("bz2"),
    "application/x-lzma": _Method("lzma"),
    "application/x-brotli": _Method("brotli", "brotli"),
    "application/zstd": _Method("zstandard", "zstd"),
}
_TYPES = {
    "gzip": "application/x-gzip",
    "zlib": "application/x-gzip",
    "bzip2": "application/x-bz2",
    "bzip": "application/x-bz2",
    "lzma": "application/x-lzma",
    "xz": "application/x-lzma",
    "brotli": "application/x-brotli",
    "zstd": "application/zstd",
    "zstandard": "application/zstd",
}


def compression_type(name: str) -> str:
    """The content type of a method (`zlib`); of a content type itself. Raises ImproperlyConfigured."""
    found = _TYPES.get(name, name)
    if found not in _METHODS:
        raise ImproperlyConfigured(f"unknown compression {name!r}, expected one of {', '.join(map(repr, _TYPES))}")
    _library(found)
    return found


def compress(data: bytes, method: str) -> bytes:
    """`method` is a content type of ours. Raises ImproperlyConfigured when its library is missing."""
    return _library(method).compress(data)  # type: ignore[no-any-return]  # of a module loaded by its name


def decompress(data: bytes, method: object) -> bytes:
    """What `compress` was given. Raises ContentError, also for a method that is not known here."""
    if not isinstance(method, str) or _TYPES.get(method, method) not in _METHODS:
        raise ContentError(f"a body compressed by {method!r} cannot be read, expected one of {', '.join(_METHODS)}")
    try:
        return _library(_TYPES.get(method, method)).decompress(data)  # type: ignore[no-any-return]  # as above
    except ImproperlyConfigured as error:
        raise ContentError(str(error)) from None
    except Exception as error:  # noqa: BLE001  (each library has errors of its own)
        raise ContentError(f"the body is not {method}: {type(error).__name__}: {error}") from None


def pack_result(payload: bytes, method: str) -> bytes:
    """A stored result, compressed (`result_compression`): Celery's mark, the content type, the compressed bytes.

    `method` is a name or a content type. What is packed already stays as it is. Raises ImproperlyConfigured.
    """
    if payload.startswith(_PACKED):
        return payload
    content_type = compression_type(method)
    return _PACKED + content_type.encode("ascii") + b"\x00" + compress(payload, content_type)


def unpack_result(stored: bytes) -> bytes:
    """What `pack_result` was given; a result that is not packed, as it is. Raises ContentError."""
    if not stored.startswith(_PACKED):
        return stored
    method, _, payload = stored[len(_PACKED) :].partition(b"\x00")
    return decompress(payload, method.decode("utf-8", "replace"))


def _library(content_type: str) -> Any:
    method = _METHODS[content_type]
    name = next(name for name, known in _TYPES.items() if known == content_type)
    return library(method.module, f"compression {name!r}", method.extra)
