"""Frames on a stream socket: four bytes of length, then the payload.

An empty frame is a doorbell: it says "look into the page" and nothing else, so a reader never sees it.
Payloads are `marshal`: both ends are the same interpreter, forked from one process, and it is several
times faster than anything portable. Never feed it bytes that came from elsewhere.
"""

import marshal
import struct
from collections.abc import Sequence
from typing import Any, cast

from celery_rs._core import pack_jobs
from celery_rs.execution import Work
from celery_rs.worker.pools.base import Job

_LENGTH = struct.Struct("<I")
_PLAIN = 2
"""The marshal format without back references: jobs share next to nothing, and looking for it costs more."""

DOORBELL = _LENGTH.pack(0)
CHUNK = 1 << 18
"""Bytes asked of a socket at once."""


def frame(payload: bytes) -> bytes:
    return _LENGTH.pack(len(payload)) + payload


def encode(value: Any) -> bytes:
    """Flat data as bytes. Raises ValueError for anything but plain builtin types."""
    return marshal.dumps(value, _PLAIN)


def decode(payload: bytes) -> object:
    """Raises ValueError, EOFError or TypeError when the payload was damaged."""
    return marshal.loads(payload)


def encode_jobs(first: int, jobs: Sequence[Job]) -> bytes:
    """Consecutive jobs as one payload; the first has the number `first`."""
    return pack_jobs(first, jobs)


def decode_jobs(payload: bytes) -> tuple[int, list[Work]]:
    first, works = cast("tuple[int, list[tuple[str, ...]]]", decode(payload))  # what `encode_jobs` wrote
    return first, [Work._make(fields) for fields in works]


class Frames:
    """Cuts a stream of bytes into payloads, doorbells left out."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The payloads that `data` completes, in order."""
        self._rest += data
        rest, start, payloads = self._rest, 0, []
        while len(rest) - start >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(rest, start)
            end = start + _LENGTH.size + length
            if end > len(rest):
                break
            if length:
                payloads.append(bytes(rest[start + _LENGTH.size : end]))
            start = end
        del rest[:start]
        return payloads
