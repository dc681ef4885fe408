"""What a call may say about itself: the options of `apply_async`, most of which a route may give as well."""

from collections.abc import Mapping
from typing import Any

from celery_rs.config import suggestion
from celery_rs.errors import ImproperlyConfigured, NotSupported

OPTIONS = frozenset(
    {
        "task_id", "countdown", "eta", "expires", "queue", "exchange", "routing_key", "priority", "delivery_mode",
        "serializer", "time_limit", "soft_time_limit", "ignore_result", "headers", "shadow",
        "group_id", "group_index", "root_id", "parent_id", "reply_to", "retries", "replaced_task_nesting",
        "argsrepr", "kwargsrepr", "origin", "stamped_headers", "stamps", "embed", "retry", "retry_policy",
    }
)  # fmt: skip
"""None is the same as not saying it, except for expires and the limits, which it clears."""

_IN_ROUTES = OPTIONS | {"exchange_type", "binding_key", "mandatory", "immediate"}
"""Routes written for Celery may describe the exchange, too; here `task_queues` does."""

_LATER = {
    "link": "call the next task at the end of this one",
    "link_error": "handle the failure in the task's on_failure",
    "chain": "call the next task at the end of this one",
    "chord": "collect the results in a task of your own",
    "compression": "send the arguments as they are",
}


def check_call(options: Mapping[str, Any]) -> None:
    """Raises TypeError for an option that no call has, NotSupported for one that is not there yet."""
    if options.keys() <= OPTIONS:
        return
    for name in _unknown(options, OPTIONS):
        raise TypeError(f"unknown option {name!r} in a call{suggestion(name, OPTIONS)}")


def check_route(options: Mapping[str, Any]) -> None:
    """The same of a route; raises ImproperlyConfigured."""
    if options.keys() <= _IN_ROUTES:
        return
    for name in _unknown(options, _IN_ROUTES):
        raise ImproperlyConfigured(f"task_routes: unknown option {name!r} in a route{suggestion(str(name), OPTIONS)}")


def _unknown(options: Mapping[str, Any], known: frozenset[str]) -> list[str]:
    for name, value in options.items():
        if name in _LATER and value is not None:
            raise NotSupported(f"the option {name!r}", _LATER[name])
    return [name for name in options if name not in known and name not in _LATER]
