"""What the words of `celery-rs multi` mean: nodes by count or by name, and options for all of them or for some.

Unlike Celery's this reader knows which of the worker's options take a value, so a flag may stand before a name. Pure:
nothing is started, and no file is looked at.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from celery_rs.cli.nodes import Node, node_named

RANGE_PREFIX = "celery"
OWN = {
    "--nosplash": False,
    "--quiet": False,
    "-q": False,
    "--verbose": False,
    "--no-color": False,
    "--cmd": True,
    "--append": True,
    "--executable": True,
    "--hostname": True,
    "-n": True,
    "--prefix": True,
    "--suffix": True,
    "--range-prefix": True,
}
"""Options of `multi` itself, and whether each takes a value."""
_SAME = {"-q": "--quiet", "-n": "--hostname"}

Given = tuple[str, str | None]
"""An option as it was written, and its value; None for a flag."""


class Words(NamedTuple):
    """`settings` are words for the workers that are no options: `worker.x=1`, and all that follows `--`."""

    names: tuple[str, ...]
    own: Mapping[str, str | None]
    options: tuple[Given, ...]
    of_some: tuple[tuple[str, Given], ...]
    """Which nodes, as written (`1-3`, `image,video`), and the option."""
    settings: tuple[str, ...]


def read(words: Sequence[str], takes_value: Callable[[str], bool | None]) -> Words:
    """Sort the words out. `takes_value` is asked of the worker's options; None: it does not know that one.

    Raises ValueError for an option without the value that it needs.
    """
    names: list[str] = []
    own: dict[str, str | None] = {}
    options: list[Given] = []
    of_some: list[tuple[str, Given]] = []
    settings: list[str] = []
    left = list(words)
    while left:
        word = left.pop(0)
        if word == "--":
            settings += left
            break
        if not word.startswith("-") or word == "-":
            (settings if "=" in word else names).append(word)
            continue
        option, which, value = _split(word)
        if value is None and _needs_value(option, left, takes_value):
            if not left:
                raise ValueError(f"{option} needs a value")
            value = left.pop(0)
        if option in OWN:
            own[_SAME.get(option, option)] = value
        elif which is None:
            options.append((option, value))
        else:
            of_some.append((which, (option, value)))
    return Words(tuple(names), own, tuple(options), tuple(of_some), tuple(settings))


def nodes_of(words: Words) -> list[Node]:
    """The nodes that the names mean: `3` is celery1, celery2 and celery3. Raises ValueError."""
    prefix, host = words.own.get("--prefix") or "", words.own.get("--suffix") or words.own.get("--hostname") or "%h"
    names: Sequence[str] = words.names
    if len(names) == 1 and names[0].isdecimal():
        first = words.own.get("--range-prefix") or prefix or RANGE_PREFIX
        names, prefix = [f"{first}{number}" for number in range(1, int(names[0]) + 1)], ""
    return [node_named(name if "@" in name else f"{prefix}{name}@{host}") for name in names]


def options_for(index: int, nodes: Sequence[Node], words: Words, same: Callable[[str], str]) -> list[Given]:
    """The options of the node with this index, from 0. What is said of some nodes wins over what is said of all.

    `same` gives all spellings of an option one name. Raises ValueError for nodes that there are not.
    """
    chosen: dict[str, Given] = {same(option): (option, value) for option, value in words.options}
    for which, (option, value) in words.of_some:
        if index in _indexes(which, nodes):
            chosen[same(option)] = (option, value)
    return list(chosen.values())


def _split(word: str) -> tuple[str, str | None, str | None]:
    """`-c:1-3` → option, which nodes, no value; `--concurrency:1=10` → with its value."""
    head, equals, value = word.partition("=") if word.startswith("--") else (word, "", "")
    option, colon, which = head.partition(":")
    return option, which if colon else None, value if equals else None


def _needs_value(option: str, left: Sequence[str], takes_value: Callable[[str], bool | None]) -> bool:
    known = OWN.get(option, takes_value(option))
    if known is not None:
        return known
    # One that the app has added: Celery takes the next word for the value of a short option.
    return not option.startswith("--") and bool(left) and not left[0].startswith("-")


def _indexes(which: str, nodes: Sequence[Node]) -> set[int]:
    """The nodes that `1-3`, `1,2` or `image,video` mean."""
    found: set[int] = set()
    for part in which.split(","):
        named = {index for index, node in enumerate(nodes) if part in (node.name, str(node))}
        first, _, last = part.partition("-")
        if named:
            found |= named
        elif first.isdecimal() and (last or first).isdecimal():
            found |= set(range(int(first) - 1, int(last or first)))
        else:
            found.add(-1)
        if not found <= set(range(len(nodes))):
            raise ValueError(f"expected nodes by number (1 to {len(nodes)}) or name, got {which!r}")
    return found
