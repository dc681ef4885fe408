"""Short, safe text of arguments and results for logs, events and monitors: Celery's spelling, bounded.

The cost is bounded by the limit, not by the size of the value: a million numbers are not visited. A user's
`__repr__` that raises is shown as such.
"""

from collections.abc import Iterator
from itertools import chain
from typing import Any

LIMIT = 1024
DEPTH = 3

_PLAIN = (int, float, bool, type(None))
_SHORT = 64


def preview(value: object, limit: int = LIMIT, depth: int = DEPTH) -> str:
    """The text of `value`; it may pass `limit` by what closing the brackets takes."""
    if type(value) is tuple:
        quick = _plain_tuple(value)
        if quick is not None:
            return quick
    elif value is None or type(value) in _PLAIN:
        return repr(value)
    elif type(value) is dict and not value:
        return "{}"
    try:
        return _Writer(limit, depth).write(value)
    except Exception as error:  # noqa: BLE001  (users' containers: an order, a length, an iterator)
        return f"<{type(value).__name__}: its text failed with {type(error).__name__}>"


def _plain_tuple(value: tuple[Any, ...]) -> str | None:
    """Most calls pass a few numbers and short words."""
    if len(value) > 8:
        return None
    parts = []
    for item in value:
        if type(item) in _PLAIN:
            parts.append(repr(item))
        elif type(item) is str and len(item) < _SHORT:
            parts.append(_quoted(item))
        else:
            return None
    text = ", ".join(parts)
    if len(text) >= LIMIT:
        return None
    return f"({text},)" if len(parts) == 1 else f"({text})"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "\\'") + "'"


class _Full(Exception):
    """The budget is used up."""


class _Writer:
    def __init__(self, limit: int, depth: int) -> None:
        self.left = limit
        self.depth = depth
        self.parts: list[str] = []
        self.closers: list[str] = []

    def write(self, value: object) -> str:
        try:
            self._value(value, 0, frozenset())
        except _Full:
            self.parts.append(", ..." if self.closers else "")
            self.parts.extend(reversed(self.closers))
        return "".join(self.parts)

    def _add(self, text: str) -> None:
        self.parts.append(text)
        self.left -= len(text)

    def _cut(self, text: str, before: str = "", after: str = "") -> None:
        """Add `text` between its quotes; the end is cut off where the budget ends."""
        if len(text) < self.left:
            self._add(before + text + after)
            return
        shortened = text[: max(self.left, 0)]
        if after:  # words are cut at the last space
            shortened = shortened.rpartition(" ")[0] or shortened
        self._add(f"{before}{shortened}...{after}")
        raise _Full

    def _value(self, value: Any, depth: int, inside: frozenset[int]) -> None:
        if isinstance(value, str):
            self._cut(_quoted(value[: self.left + 1])[1:-1], "'", "'")
        elif isinstance(value, bytes):
            self._cut(_bytes_text(value[: self.left + 4]), "b'", "'")
        elif isinstance(value, dict):
            self._container(value, "{", "}", depth, inside)
        elif isinstance(value, list):
            self._container(value, "[", "]", depth, inside)
        elif isinstance(value, tuple) and not hasattr(value, "_fields"):
            self._container(value, "(", ",)" if len(value) == 1 else ")", depth, inside)
        elif isinstance(value, set | frozenset):
            if value:
                self._container(value, "{", "}", depth, inside)
            else:
                self._add("set()")
        else:
            self._cut(_repr(value))

    def _container(self, value: Any, opener: str, closer: str, depth: int, inside: frozenset[int]) -> None:
        if value and (depth >= self.depth or id(value) in inside):
            self._add(f"{opener}...{closer[-1]}")
            return
        self._add(opener)
        self.closers.append(closer)
        inside |= {id(value)}
        for i, item in enumerate(_items(value)):
            if i:
                self._add(", ")
            if self.left <= 0:
                self.parts.pop()
                raise _Full
            if isinstance(value, dict):
                self._value(item[0], depth + 1, inside)
                self._add(": ")
                item = item[1]
            self._value(item, depth + 1, inside)
        self.closers.pop()
        self._add(closer)


def _items(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        return iter(value.items())
    if isinstance(value, set | frozenset):
        try:
            return iter(sorted(value)) if len(value) <= LIMIT else iter(value)
        except TypeError:
            pass
    return chain(value)


def _bytes_text(value: bytes) -> str:
    try:
        return value.decode("utf-8").replace("'", "\\'")
    except UnicodeDecodeError:
        return value.hex()


def _repr(value: object) -> str:
    try:
        return repr(value)
    except Exception as error:  # noqa: BLE001  (a user's __repr__)
        return f"<{type(value).__name__}: its repr failed with {type(error).__name__}>"
