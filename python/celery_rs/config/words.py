"""Settings as words of a command line: `worker.concurrency=4`, `.concurrency=4`, `task_routes=(json){"a": "b"}`. Pure.

A dot is an underscore, and a word that begins with one means the namespace. A value is a text unless its setting knows
better or `(type)` says what it is.
"""

import json
from collections.abc import Callable, Iterable
from typing import Any

from celery_rs.config.checks import flag, number, whole
from celery_rs.errors import ImproperlyConfigured

_CASTS: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(("json", "list", "dict", "tuple"), json.loads),
    **dict.fromkeys(("string", "str", "any"), str),
    "int": whole,
    "float": number,
    "bool": flag,
    "bytes": str.encode,
}


def from_words(words: Iterable[str], namespace: str = "celery") -> dict[str, Any]:
    """Name → value, as the constructor and `conf.update` take them. Raises ImproperlyConfigured."""
    return dict(_from_word(word, namespace) for word in words)


def _from_word(word: str, namespace: str) -> tuple[str, Any]:
    key, equals, text = word.partition("=")
    name = key.lower().replace(".", "_")
    if not equals or not name.strip("_"):
        raise ImproperlyConfigured(f"expected a setting such as 'worker.concurrency=4', got {word!r}")
    if name.startswith("_"):
        name = namespace.lower() + name
    return name, _value(name, text)


def _value(name: str, text: str) -> Any:
    kind, closed, rest = text[1:].partition(")") if text.startswith("(") else ("", "", "")
    if not closed or not kind.isidentifier():
        return text
    if kind not in _CASTS:
        raise ImproperlyConfigured(f"{name} must be of one of the types {', '.join(_CASTS)}, got ({kind})")
    try:
        return _CASTS[kind](rest)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} cannot be read as {kind}: {error}") from None
