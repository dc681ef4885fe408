"""In which order results were called for, so that who reads one after the other can be given several at once.

A trip to the store for each is most of what reading them costs. Every trip brings twice as many as the last one, as
long as they are asked for in their turn and small; who reads a single one reads no other.
"""

from collections.abc import Iterator
from typing import Any, Generic, TypeVar
from weakref import ref

MOST_AHEAD = 128
MOST_BYTES = 1 << 18
"""A trip that brought more than this was too long."""


class Successive:
    """One of them. Nobody keeps another alive."""

    _successor: "ref[Any] | None" = None
    _ahead = 0
    """How many of its successors to read with it."""

    def _learn(self, read: int) -> None:
        """So many bytes were read with those of its successors; 0 when it was not ready itself."""
        if read > MOST_BYTES:
            self._ahead //= 4
        else:
            self._ahead = min(self._ahead * 2, MOST_AHEAD) if read else 0

    def _passed(self) -> None:
        """It has been asked for: the next one is likely to be."""
        successor = _living(self._successor)
        if successor is not None:
            successor._ahead = self._ahead or 1


S = TypeVar("S", bound=Successive)


class Succession(Generic[S]):
    """All that one app has called for. Threads that call at the same time get into each other's, which is harmless."""

    def __init__(self) -> None:
        self._last: ref[S] | None = None

    def append(self, result: S) -> None:
        here = ref(result)
        last = _living(self._last)
        if last is not None:
            last._successor = here
        self._last = here


def successors(result: S) -> Iterator[S]:
    """As many as are to be read with it and still wanted by anybody."""
    following = result
    for _ in range(result._ahead):
        successor: S | None = _living(following._successor)
        if successor is None:
            return
        yield successor
        following = successor


def _living(one: "ref[S] | None") -> S | None:
    return None if one is None else one()
