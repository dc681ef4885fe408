"""Which task sent which: the tree of results below one, as a graph."""

from collections.abc import Iterator
from typing import Any, TextIO


class DependencyGraph:
    """What each object depends on; iterates over the objects in the order in which they were added."""

    def __init__(self) -> None:
        self.adjacent: dict[Any, list[Any]] = {}

    def add_arc(self, obj: Any) -> None:
        """Add an object."""
        self.adjacent.setdefault(obj, [])

    def add_edge(self, a: Any, b: Any) -> None:
        """Say that `a` depends on `b`. Raises KeyError for an `a` that was not added."""
        self.adjacent[a].append(b)

    def edges(self) -> list[Any]:
        """The objects that depend on others."""
        return [obj for obj, others in self.adjacent.items() if others]

    def valency_of(self, obj: Any) -> int:
        """How many objects there are below it, itself included."""
        below = [self.valency_of(other) for other in self.adjacent.get(obj, ())]
        return sum(below) + len(below)

    def items(self) -> Iterator[tuple[Any, list[Any]]]:
        return iter(self.adjacent.items())

    def to_dot(self, fh: TextIO) -> None:
        """Write it in Graphviz's language."""
        fh.write("digraph dependencies {\n")
        for obj in self.adjacent:
            fh.write(f'    "{obj}"\n')
        for obj, others in self.adjacent.items():
            fh.writelines(f'    "{obj}" -> "{other}"\n' for other in others)
        fh.write("}\n")

    def __iter__(self) -> Iterator[Any]:
        return iter(self.adjacent)

    def __len__(self) -> int:
        return len(self.adjacent)

    def __contains__(self, obj: object) -> bool:
        return obj in self.adjacent

    def __getitem__(self, obj: Any) -> list[Any]:
        return self.adjacent[obj]

    def __repr__(self) -> str:
        return "\n".join(f"{obj}: {', '.join(map(str, others))}" for obj, others in self.adjacent.items())
