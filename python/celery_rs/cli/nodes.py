"""Names of nodes, and the abbreviations in them and in paths.

In a node's name `%h` is the host, `%n` the host without its domain, `%d` the domain. In a path of a node `%n` is the
node's own name instead, and `%p` all of it; `%i` is the number of the process in the pool, 0 for the main one, and `%I`
the same with a dash before it, and nothing for the main one. Celery's letters.
"""

import re
import socket
from typing import NamedTuple

DEFAULT_NAME = "celery"
_ABBREVIATION = re.compile(r"%(.)")
_PER_PROCESS = re.compile(r"%[iI]")


class Node(NamedTuple):
    """A worker's name: `name@host`."""

    name: str
    host: str

    def __str__(self) -> str:
        return f"{self.name}@{self.host}"


def node_named(text: str | None) -> Node:
    """The node that `-n` means; a name without `@` gets `celery@` before it. Raises ValueError."""
    host = socket.gethostname()
    short, _, domain = host.partition(".")
    given = expand(text or "%h", {"h": host, "n": short, "d": domain})
    name, at, rest = given.rpartition("@")
    if (at and not name) or not rest or any(letter.isspace() for letter in given):
        raise ValueError(f"expected a node name such as 'w1@%h', got {text!r}")
    return Node(name or DEFAULT_NAME, rest)


def path_for(node: Node, path: str, process: int = 0) -> str:
    """A path of this node, and of one of its processes. Raises ValueError on an unknown abbreviation."""
    domain = node.host.partition(".")[2]
    values = {"h": node.host, "n": node.name, "d": domain, "p": str(node)}
    return expand(path, values | {"i": str(process), "I": f"-{process}" if process else ""})


def is_per_process(path: str) -> bool:
    """Whether each process of the pool has a file of its own there."""
    return bool(_PER_PROCESS.search(path.replace("%%", "")))


def expand(text: str, values: dict[str, str]) -> str:
    """Replace `%x` by its value; `%%` is a percent sign. Raises ValueError on an unknown letter."""

    def value(match: re.Match[str]) -> str:
        letter = match[1]
        if letter == "%":
            return "%"
        if letter not in values:
            known = ", ".join(f"%{known}" for known in values)
            raise ValueError(f"expected {known} or %%, got '%{letter}' in {text!r}")
        return values[letter]

    return _ABBREVIATION.sub(value, text)
