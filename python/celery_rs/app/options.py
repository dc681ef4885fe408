"""What a call may say about itself: the options of `apply_async`, most of which a route may give as well."""

from collections.abc import Callable, Mapping
from typing import Any

from celery_rs.config import retry_policy, suggestion
from celery_rs.errors import ImproperlyConfigured, NotSupported

OPTIONS = frozenset(
    {
        "task_id", "countdown", "eta", "expires", "queue", "exchange", "routing_key", "priority", "delivery_mode",
        "serializer", "compression", "time_limit", "soft_time_limit", "ignore_result", "headers", "shadow", "link",
        "link_error", "group_id", "group_index", "root_id", "parent_id", "reply_to", "retries",
        "replaced_task_nesting", "argsrepr", "kwargsrepr", "origin", "stamped_headers", "stamps", "retry",
        "retry_policy", "add_to_parent", "mandatory", "immediate", "timeout", "confirm_timeout",
    }
)  # fmt: skip
"""None is the same as not saying it, except for expires and the limits, which it clears.

A message that goes to no queue is always refused, which is what `mandatory` asks for.
"""

_IN_ROUTES = OPTIONS | {"exchange_type", "binding_key"}
"""Routes written for Celery may describe the exchange, too; here `task_queues` does."""

_REFUSED = {
    "chain": "call the next task with `link`, or from the task itself",
    "chord": "collect the results in a task of your own",
    "connection": "the app has its own connection to broker_url; leave it out",
    "producer": "the app has its own connection to broker_url; leave it out",
    "router": "set task_routes",
    "route_name": "name the queue",
}

_MODES = {"transient": 1, "persistent": 2, 1: 1, 2: 2}


def check_call(options: Mapping[str, Any]) -> None:
    """Raises TypeError for an option that no call has or a value it cannot have, NotSupported for what is not there."""
    if not options.keys() <= OPTIONS:
        for name in _unknown(options, OPTIONS):
            raise TypeError(f"unknown option {name!r} in a call{suggestion(name, OPTIONS)}")
    for name, value in options.items():
        check = _CHECKS.get(name)
        if check is not None and value is not None:
            check(name, value)


def check_route(options: Mapping[str, Any]) -> None:
    """The same of a route; raises ImproperlyConfigured."""
    for name in [] if options.keys() <= _IN_ROUTES else _unknown(options, _IN_ROUTES):
        raise ImproperlyConfigured(f"task_routes: unknown option {name!r} in a route{suggestion(str(name), OPTIONS)}")
    for name, value in options.items():
        check = _CHECKS.get(name)
        if check is not None and value is not None:
            try:
                check(name, value)
            except TypeError as error:
                raise ImproperlyConfigured(f"task_routes: {error}") from None


def delivery_mode(given: Any) -> int | None:
    """1 (transient) or 2 (persistent), by number or word. Raises TypeError."""
    if given is None:
        return None
    found = _MODES.get(given) if isinstance(given, str | int) and not isinstance(given, bool) else None
    if found is None:
        raise TypeError(f"delivery_mode must be 1 ('transient') or 2 ('persistent'), got {given!r}")
    return found


def check_policy(policy: Any) -> None:
    """Raises TypeError for a retry_policy that says nothing about publishing again."""
    try:
        retry_policy(policy)
    except ValueError as error:
        raise TypeError(f"retry_policy must be {error}, got {policy!r}") from None


def patience(options: Mapping[str, Any]) -> float | None:
    """Seconds that one attempt to publish may take, as `timeout` and `confirm_timeout` say; None when neither does."""
    given = [value for name in ("timeout", "confirm_timeout") if (value := options.get(name)) is not None]
    return min(given) if given else None


def _unknown(options: Mapping[str, Any], known: frozenset[str]) -> list[str]:
    for name, value in options.items():
        if name in _REFUSED and value is not None:
            raise NotSupported(f"the option {name!r}", _REFUSED[name])
    return [name for name in options if name not in known and name not in _REFUSED]


def _text(name: str, value: Any) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string, got {value!r}")


def _whole(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise TypeError(f"{name} must be a whole number, not below 0, got {value!r}")


def _priority(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 255:
        raise TypeError(f"{name} must be a whole number from 0 to 9, got {value!r}")


def _mapping(name: str, value: Any) -> None:
    if not isinstance(value, Mapping):
        raise TypeError(f"{name} must be a dict, got {value!r}")


def _names(name: str, value: Any) -> None:
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise TypeError(f"{name} must be a list of strings, got {value!r}")


def _flag(name: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, got {value!r}")


def _seconds(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise TypeError(f"{name} must be seconds, above 0, got {value!r}")


def _mode(name: str, value: Any) -> None:
    delivery_mode(value)


def _not_immediate(name: str, value: Any) -> None:
    if value:
        raise NotSupported("immediate=True", "brokers queue a message until a worker is free; leave it out")


_CHECKS: dict[str, Callable[[str, Any], None]] = {
    "task_id": _text,
    "shadow": _text,
    "serializer": _text,
    "compression": _text,
    "group_id": _text,
    "root_id": _text,
    "parent_id": _text,
    "reply_to": _text,
    "argsrepr": _text,
    "kwargsrepr": _text,
    "origin": _text,
    "priority": _priority,
    "retries": _whole,
    "group_index": _whole,
    "replaced_task_nesting": _whole,
    "headers": _mapping,
    "stamps": _mapping,
    "stamped_headers": _names,
    "ignore_result": _flag,
    "mandatory": _flag,
    "immediate": _not_immediate,
    "delivery_mode": _mode,
    "timeout": _seconds,
    "confirm_timeout": _seconds,
}
"""What the option's value must be; times and limits are read where they are used."""
