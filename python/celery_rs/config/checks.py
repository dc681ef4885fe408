"""What a setting's value may be. Each check returns the value to keep, or raises ValueError with what was expected.

Checks run where a value is set, so that a mistake is reported by the line that made it.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from sys import float_info
from typing import Any, TypeVar

from celery_rs import _core
from celery_rs.config.zones import zone
from celery_rs.errors import ImproperlyConfigured
from celery_rs.serializers import content_types, serializer

Check = Callable[[Any], Any]
_N = TypeVar("_N", int, float)

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off", ""})


def anything(value: Any) -> Any:
    return value


def flag(value: Any) -> bool:
    if isinstance(value, bool) or (isinstance(value, int) and value in (0, 1)):
        return bool(value)
    if isinstance(value, str) and value.lower() in _TRUE | _FALSE:
        return value.lower() in _TRUE
    raise ValueError("True or False")


def whole(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _number(int, value, "a whole number")
    raise ValueError("a whole number")


def at_least(least: int) -> Check:
    def check(value: Any) -> int:
        number = whole(value)
        if number < least:
            raise ValueError(f"a whole number from {least} up")
        return number

    return check


def number(value: Any) -> float:
    if isinstance(value, str):
        value = _number(float, value, "a number")
    # Not NaN, nor infinite, nor an int that is no float.
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= float_info.max:
        raise ValueError("a number")
    return value


def seconds(value: Any) -> float:
    if isinstance(value, timedelta):
        return value.total_seconds()
    length = number(value)
    if length < 0:
        raise ValueError("seconds, not below 0")
    return length


def text_or_class(value: Any) -> str:
    """A class stands for its import path."""
    return f"{value.__module__}:{value.__qualname__}" if isinstance(value, type) else text(value)


def text(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise ValueError("a string")


def urls(value: Any) -> str:
    """One URL, or several as a list or joined by semicolons: kept as one string, as Celery writes it."""
    if isinstance(value, list | tuple) and value and all(isinstance(url, str) for url in value):
        return ";".join(value)
    if isinstance(value, str):
        return value
    raise ValueError("a URL such as 'sqlite:///tasks.sqlite3'")


def tries(value: Any) -> float:
    """How often: a number from 0 up, or infinity."""
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
        return value
    raise ValueError("a number from 0 up")


def names(value: Any) -> tuple[str, ...]:
    """A sequence of strings, or one string with commas."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if isinstance(value, list | tuple | set | frozenset) and all(isinstance(item, str) for item in value):
        return tuple(value)
    raise ValueError("a list of strings")


def contents(value: Any) -> tuple[str, ...]:
    """Serializers or content types."""
    given = names(value)
    for name in given:
        try:
            content_types((name,))
        except ImproperlyConfigured as error:
            raise ValueError(f"a list of serializers or content types ({error})") from None
    return given


def content(value: Any) -> str:
    """One serializer, by its name."""
    try:
        return serializer(text(value)).name
    except ImproperlyConfigured as error:
        raise ValueError(f"the name of a serializer ({error})") from None


def timezone(value: Any) -> str:
    name = getattr(value, "key", value)  # a ZoneInfo knows its name
    try:
        zone(text(name))
    except (KeyError, ValueError, OSError):
        raise ValueError("the name of a time zone such as 'Europe/Oslo'") from None
    return str(name)


def mapping(value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    raise ValueError("a dict")


_POLICY: dict[str, Any] = {
    "max_retries": int,
    "interval_start": int | float,
    "interval_step": int | float,
    "interval_max": int | float,
}


def retry_policy(value: Any) -> dict[str, Any]:
    """How often, and after how many seconds each, publishing is tried again; `max_retries` None is for ever."""
    given = mapping(value)
    for key, said in given.items():
        if key not in _POLICY:
            raise ValueError(f"a dict with only the keys {', '.join(map(repr, _POLICY))} ({key!r} is none of them)")
        if said is None and key == "max_retries":
            continue
        if isinstance(said, bool) or not isinstance(said, _POLICY[key]) or said is None or not said >= 0:
            kind = "a whole number" if key == "max_retries" else "seconds"
            raise ValueError(f"a dict whose {key} is {kind}, not below 0")
    return given


def result_contents(value: Any) -> tuple[str, ...]:
    """The same as `contents`; with none, no result could be read."""
    given = contents(value)
    if not given:
        raise ValueError("a list with result_serializer in it")
    return given


def rate(value: Any) -> str | float:
    expected = "a rate such as '10/m' (s, m, h or d), or a number per second"
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(expected)
    try:
        _core.parse_rate(value)
    except ValueError:
        raise ValueError(expected) from None
    return value


def check_seconds(name: str, value: Any) -> None:
    """Raises ImproperlyConfigured, which calls it `name`. None is no time."""
    if value is None:
        return
    try:
        seconds(value)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} must be {error}, got {value!r}") from None


def check_rate(name: str, value: Any) -> None:
    """Raises ImproperlyConfigured, which calls it `name`. None is no limit."""
    if value is None:
        return
    try:
        rate(value)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} must be {error}, got {value!r}") from None


def one_of(*allowed: Any) -> Check:
    def check(value: Any) -> Any:
        if value in allowed:
            return value
        raise ValueError("one of " + ", ".join(map(repr, allowed)))

    return check


def queues(value: Any) -> Any:
    """A mapping of name to options, or a sequence of queues or names."""
    if isinstance(value, Mapping | list | tuple | set | frozenset):
        return value
    raise ValueError("a list of Queue objects, or a dict of name to options")


def routes(value: Any) -> Any:
    """The shape only; patterns are compiled by the router."""
    if isinstance(value, str) or callable(value) or hasattr(value, "route_for_task"):
        return value
    if isinstance(value, Mapping):
        for pattern, target in value.items():
            if not isinstance(target, str | Mapping):
                raise ValueError(f"a queue name or a dict of options for {pattern!r}, not {target!r}")
        return value
    if isinstance(value, list | tuple):
        for router in value:
            if not _is_pair(router):
                routes(router)
        return value
    raise ValueError("a dict of task name or pattern to queue or options, a function, or a list of these")


def _is_pair(router: Any) -> bool:
    return isinstance(router, list | tuple) and len(router) == 2 and isinstance(router[1], str | Mapping)


def annotations(value: Any) -> Any:
    expected = "a dict of task name to attributes, an object with `annotate`, a path, or a list of these"
    for one in value if isinstance(value, list | tuple) else [value]:
        if isinstance(one, Mapping):
            if not all(isinstance(attributes, Mapping) for attributes in one.values()):
                raise ValueError(expected)
            _rates(one)
        elif not isinstance(one, str) and not hasattr(one, "annotate") and not hasattr(one, "annotate_any"):
            raise ValueError(expected)
    return value


def _rates(attributes_of: Mapping[Any, Mapping[str, Any]]) -> None:
    """The limit that `task_annotations` is used for most, told here and not by a task that is bound much later."""
    for task, attributes in attributes_of.items():
        if attributes.get("rate_limit") is not None:
            try:
                rate(attributes["rate_limit"])
            except ValueError as error:
                raise ValueError(f"{error} as the rate_limit of {task!r}") from None


def concurrency(value: Any) -> int | str:
    return "auto" if value == "auto" else at_least(1)(value)


def _number(kind: Callable[[str], _N], value: str, expected: str) -> _N:
    try:
        return kind(value)
    except ValueError:
        raise ValueError(expected) from None
