"""The entry points of the command line, each with words that are right on their own.

`traits` say what an entry point has to do with: a row of mistakes names the traits it concerns, so that cells which
cannot be (a broker URL given to what talks to no broker) are left out by this table.
"""

from typing import NamedTuple

EVERY = "every"
"""A trait of all of them."""


class Entry(NamedTuple):
    """One entry point."""

    name: str
    words: tuple[str, ...]
    traits: frozenset[str]


def _entry(name: str, *words: str, traits: str = "settings") -> Entry:
    return Entry(name, (name, *words), frozenset((EVERY, name, *traits.split())))


ENTRIES = (
    _entry("worker", "-P", "solo", traits="broker settings"),
    _entry("call", "proj.add", "-a", "[1, 2]", traits="broker settings"),
    _entry("result", "no-such-id", "--timeout", "0", traits="store settings"),
    _entry("control", "-t", "0.05", "rate_limit", "proj.add", "10/m", traits="broker asks settings"),
    _entry("inspect", "-t", "0.05", "ping", traits="broker asks settings"),
    _entry("status", "-t", "0.05", traits="broker asks settings"),
    _entry("purge", "-f", traits="broker settings"),
    _entry("list", "bindings"),
    _entry("dead", "list", traits="broker settings"),
    _entry("check", traits=""),
    _entry("report"),
    _entry("shell", "--python"),
)
