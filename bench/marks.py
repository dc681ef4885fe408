"""How tasks say when they ran, cheaply enough not to be what is measured.

Each thread that runs tasks keeps one small file: three 64-bit words (tasks run, first and last start, on the
machine-wide monotonic clock), mapped into memory, and optionally a list of spans. Nothing is shared between writers,
so there is nothing to lock; readers look at any time and may be one task behind.
"""

import mmap
import os
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic_ns
from typing import NamedTuple

PLACE = "BENCH_MARKS"
"""The environment variable that names the directory."""

_WORDS = struct.Struct("=3Q")
_SPAN = struct.Struct("=2Q")


class Seen(NamedTuple):
    """What all threads together have run; the times are None while that is nothing."""

    tasks: int
    first: int | None
    last: int | None


class Span(NamedTuple):
    """One run of one task, in nanoseconds of the monotonic clock."""

    began: int
    ended: int


class Pen:
    """One thread's file. Opened at its first task, hence after the fork that made the process."""

    def __init__(self, place: Path) -> None:
        stem = place / f"{os.getpid()}-{threading.get_native_id()}"
        words = os.open(stem.with_suffix(".words"), os.O_RDWR | os.O_CREAT, 0o600)
        os.ftruncate(words, _WORDS.size)
        self._words = memoryview(mmap.mmap(words, _WORDS.size)).cast("Q")
        os.close(words)
        self._spans = os.open(stem.with_suffix(".spans"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def tick(self, began: int | None = None) -> None:
        """A task starts now; or one that began then ends now, and the first counts from its start to the last's end."""
        now = monotonic_ns()
        words = self._words
        if not words[0]:
            words[1] = now if began is None else began
        words[2] = now
        words[0] += 1

    def span(self, began: int, ended: int) -> None:
        """A task ran from `began` to `ended`."""
        os.write(self._spans, _SPAN.pack(began, ended))


def read(place: Path) -> Seen:
    """Add up what the threads have marked so far."""
    rows = [row for row in _rows(place) if row[0]]
    return Seen(
        tasks=sum(row[0] for row in rows),
        first=min((row[1] for row in rows), default=None),
        last=max((row[2] for row in rows), default=None),
    )


def spans(place: Path) -> list[list[Span]]:
    """The spans of each thread, in the order they ran."""
    return [[Span(*span) for span in _SPAN.iter_unpack(path.read_bytes())] for path in sorted(place.glob("*.spans"))]


def _rows(place: Path) -> Iterator[tuple[int, int, int]]:
    for path in place.glob("*.words"):
        with suppress(struct.error):  # a file that was created this instant is still empty
            yield _WORDS.unpack(path.read_bytes())
