"""Celery's names that are not there yet, each with what to do instead: refused by name, never swallowed."""

from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from celery_rs.errors import ImproperlyConfigured, NotSupported

_BROKER = "send with send_task or apply_async, look with `celery-rs inspect`"

ATTRIBUTES: Mapping[str, str] = {
    "pool": _BROKER,
    "producer_pool": _BROKER,
    "producer_or_acquire": _BROKER,
    "default_producer": _BROKER,
    "WorkController": "use app.Worker",
    "Beat": "call the task from cron or a systemd timer",
    "add_periodic_task": "call the task from cron or a systemd timer",
    "setup_security": "keep the broker where only you can write to it",
}
"""Attributes and methods of an app."""

CONSTRUCTOR: Mapping[str, str] = {
    "amqp": "set task_queues and task_routes; see app.amqp",
    "events": "set the attribute events_cls of a subclass",
}
"""Arguments of `Celery` that must be None."""

SENDING: Mapping[str, str] = {
    "connection": "leave it out: the app keeps its own",
    "producer": "leave it out: the app keeps its own",
    "publisher": "leave it out: the app keeps its own",
    "router": "set task_routes",
    "route_name": "name the queue",
}
"""Arguments of `send_task` that must be None."""


class Refused(NotSupported, AttributeError):
    """An attribute that Celery has and we have not: `hasattr` says so, too."""


def refuse_attribute(owner: object, name: str) -> NoReturn:
    """Raises Refused for a name of Celery's, AttributeError for any other."""
    instead = ATTRIBUTES.get(name)
    if instead is None:
        raise AttributeError(f"{type(owner).__name__!r} object has no attribute {name!r}")
    raise Refused(f"app.{name}", instead)


def refuse_given(call: str, given: Mapping[str, Any], refused: Mapping[str, str]) -> None:
    """Raises NotSupported when one of those arguments is not None."""
    for name, value in given.items():
        if value is not None and name in refused:
            raise NotSupported(f"{call}({name}=...)", refused[name])


class Steps(set[Any]):
    """Boot steps of one kind: there is nowhere to put them."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self._kind = kind

    def add(self, step: Any, /) -> None:
        raise NotSupported(f"app.steps[{self._kind!r}]", "use the signals worker_init, worker_ready, worker_shutdown")

    def update(self, *steps: Iterable[Any]) -> None:
        for step in (step for some in steps for step in some):
            self.add(step)


class StepTable(Mapping[str, Steps]):
    """`app.steps`: the kinds that Celery has."""

    def __init__(self) -> None:
        self._kinds = {kind: Steps(kind) for kind in ("worker", "consumer")}

    def __getitem__(self, kind: str) -> Steps:
        if kind not in self._kinds:
            raise ImproperlyConfigured(f"app.steps has 'worker' and 'consumer', got {kind!r}")
        return self._kinds[kind]

    def __iter__(self) -> Any:
        return iter(self._kinds)

    def __len__(self) -> int:
        return len(self._kinds)
