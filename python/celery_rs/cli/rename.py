"""Old names of settings in a Python file, given their present ones. Pure: text in, text out.

The file is parsed, so that a name is changed where it names a setting (a variable, an attribute, a keyword, a key of a
dict or a subscript) and left alone in texts, comments and variables of the environment. All else stays as it stands.
"""

import ast
from collections.abc import Callable, Iterator
from typing import NamedTuple

from celery_rs.config import OLD_NAMES

_ENVIRONMENT = "environ"


class Renamed(NamedTuple):
    """`names` are (old, present) pairs, in the order in which they stand in the file, each once."""

    text: str
    names: tuple[tuple[str, str], ...]


class _Place(NamedTuple):
    line: int
    start: int
    """In bytes, as the parser counts."""
    old: str


def rename(text: str, present: Callable[[str], str]) -> Renamed:
    """`present` makes the name that is to be written of a setting's. Raises SyntaxError."""
    lines = text.encode().splitlines(keepends=True)
    names: dict[str, str] = {}
    found = sorted(_places(ast.parse(text)))
    for place in found:
        new = present(OLD_NAMES[place.old])
        if new != place.old:
            names[place.old] = new
    for place in reversed(found):
        line = lines[place.line - 1]
        end = place.start + len(place.old)
        lines[place.line - 1] = line[: place.start] + names.get(place.old, place.old).encode() + line[end:]
    return Renamed(b"".join(lines).decode(), tuple(names.items()))


def in_lower_case(name: str) -> str:
    """`task_serializer`, for a module of settings."""
    return name


def in_namespace(name: str) -> str:
    """`CELERY_TASK_SERIALIZER`, for Django and whoever has a namespace."""
    return f"CELERY_{name.upper()}"


def _places(tree: ast.AST) -> Iterator[_Place]:
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=old) if old in OLD_NAMES:
                yield _Place(node.lineno, node.col_offset, old)
            case ast.Attribute(attr=old) if old in OLD_NAMES:
                yield _Place(node.end_lineno or node.lineno, (node.end_col_offset or 0) - len(old), old)
            case ast.keyword(arg=str(old)) if old in OLD_NAMES:
                yield _Place(node.lineno, node.col_offset, old)
            case ast.Dict(keys=keys):
                yield from _texts(keys)
            case ast.Subscript(value=value, slice=key) if not _is_environment(value):
                yield from _texts([key])


def _texts(keys: list[ast.expr | None] | list[ast.expr]) -> Iterator[_Place]:
    for key in keys:
        if isinstance(key, ast.Constant) and isinstance(key.value, str) and key.value in OLD_NAMES:
            yield _Place(key.lineno, key.col_offset + 1, key.value)


def _is_environment(value: ast.expr) -> bool:
    return (isinstance(value, ast.Attribute) and value.attr == _ENVIRONMENT) or (
        isinstance(value, ast.Name) and value.id == _ENVIRONMENT
    )
