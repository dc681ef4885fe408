"""The queues of an app by name: those of task_queues, those added while it runs, and those made when they are missing.

What each is bound to is what Celery binds it to, so that both fleets write the same bindings.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from celery_rs.config import Settings
from celery_rs.errors import ImproperlyConfigured, QueueNotFound
from celery_rs.wire import Exchange, Queue, binding

_PLAIN = (
    "durable", "exclusive", "auto_delete", "no_ack", "alias", "expires", "message_ttl", "max_length",
    "max_length_bytes", "max_priority", "no_declare", "queue_arguments", "binding_arguments", "consumer_arguments",
)  # fmt: skip
"""What a queue of Kombu's, and a dict that describes a queue, say in the words of ours."""
_OPTIONS = frozenset({*_PLAIN, "exchange", "exchange_type", "routing_key", "binding_key", "bindings"})


class QueueTable:
    """Compiled once per version of the settings. Raises ImproperlyConfigured for queues that make no sense."""

    def __init__(self, conf: Settings, added: Collection[Queue] = ()) -> None:
        """`added` count like those of task_queues, and win over them."""
        self._default = str(conf.task_default_queue)
        self._default_key = str(conf.task_default_routing_key or self._default)
        self._home = Exchange(conf.task_default_exchange or self._default, conf.task_default_exchange_type)
        self._max_priority = conf.task_queue_max_priority
        self._create_missing = conf.task_create_missing_queues
        self._missing_type = conf.task_create_missing_queue_type
        self._missing_exchange_type = conf.task_create_missing_queue_exchange_type or "direct"
        queues = self._given(conf.task_queues, _of_type(conf.task_default_queue_type))
        self.known = {queue.name: self._complete(queue) for queue in (*queues, *added)}
        self._aliases = {queue.alias: queue for queue in self.known.values() if queue.alias}

    @property
    def default(self) -> Queue:
        """Where calls go that say nothing else. Raises QueueNotFound."""
        return self.find(self._default)

    @property
    def default_key(self) -> str:
        return self._default_key

    @property
    def default_exchange(self) -> Exchange:
        return self._home

    def find(self, name: str) -> Queue:
        """By name or alias. Raises QueueNotFound when it is not known and task_create_missing_queues is off."""
        found = self.known.get(name) or self._aliases.get(name)
        if found is not None:
            return found
        if not self._create_missing:
            known = sorted({queue.alias or queue.name for queue in self.known.values()})
            raise QueueNotFound(
                f"queue {name!r} is not in task_queues and task_create_missing_queues is off, "
                f"expected one of {', '.join(map(repr, known))}"
            )
        return Queue(
            name,
            Exchange(name, self._missing_exchange_type),
            name,
            max_priority=self._max_priority,
            queue_arguments=_of_type(self._missing_type),
        )

    def choose(self, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> list[Queue]:
        """All, or those named in `include`; without those in `exclude`. Aliases are names here, too."""
        chosen = {name: self.find(name) for name in include}.values() if include else self.known.values()
        return [queue for queue in chosen if queue.name not in exclude and queue.alias not in exclude]

    def bound_to(self, exchange: str) -> list[Queue]:
        return [queue for queue in self.known.values() if is_bound(queue, exchange)]

    def _given(self, given: Any, default_arguments: Mapping[str, Any]) -> Sequence[Queue]:
        if given is None:
            return [Queue(self._default, self._home, queue_arguments=default_arguments)]
        if isinstance(given, Mapping):
            return [_described(name, {} if options is None else options) for name, options in given.items()]
        return [Queue(item) if isinstance(item, str) else as_queue(item) for item in given]

    def _complete(self, queue: Queue) -> Queue:
        # One that has bindings of its own, and no exchange, is bound to nothing else.
        homeless = not queue.exchange.name and not queue.bindings
        return queue.changed(
            exchange=self._home if homeless else queue.exchange,
            routing_key=queue.routing_key or self._default_key,
            max_priority=self._max_priority if queue.max_priority is None else queue.max_priority,
        )


def is_bound(queue: Queue, exchange: str) -> bool:
    return any(bound.exchange.name == exchange for bound in queue.all_bindings)


def as_queue(given: Any) -> Queue:
    """A Queue of ours, from one of ours or from anything that has Kombu's attributes. Raises ImproperlyConfigured."""
    if isinstance(given, Queue):
        return given
    if not isinstance(getattr(given, "name", None), str):
        raise ImproperlyConfigured(f"task_queues must hold queues or their names, got {given!r}")
    further = [
        binding(_as_exchange(bound.exchange), bound.routing_key or "", getattr(bound, "arguments", None))
        for bound in getattr(given, "bindings", None) or ()
    ]
    said = {name: value for name in _PLAIN if (value := getattr(given, name, None)) is not None}
    return Queue(
        given.name,
        _as_exchange(getattr(given, "exchange", None)),
        getattr(given, "routing_key", None),
        bindings=sorted(further, key=lambda bound: (bound.exchange.name, bound.routing_key)),
        **said,
    )


def queue_of(name: str, **options: Any) -> Queue:
    """A queue as a dict in task_queues describes it. Raises ImproperlyConfigured."""
    return _described(name, options)


def _described(name: Any, options: Any) -> Queue:
    if isinstance(options, Queue) or hasattr(options, "queue_arguments"):
        return as_queue(options)
    if not isinstance(name, str) or not isinstance(options, Mapping):
        raise ImproperlyConfigured(f"task_queues must hold names and dicts of options, got {name!r}: {options!r}")
    unknown = [str(option) for option in options if option not in _OPTIONS]
    if unknown:
        raise ImproperlyConfigured(
            f"task_queues: unknown option {unknown[0]!r} of queue {name!r}, expected some of "
            f"{', '.join(sorted(_OPTIONS))}"
        )
    exchange = options.get("exchange")
    if isinstance(exchange, str):
        exchange = Exchange(exchange, options.get("exchange_type") or "direct")
    elif exchange is not None:
        exchange = _as_exchange(exchange)
    return Queue(
        name,
        exchange,
        options.get("routing_key") or options.get("binding_key") or name,
        bindings=options.get("bindings"),
        **{option: options[option] for option in _PLAIN if option in options},
    )


def _as_exchange(given: Any) -> Exchange:
    if given is None:
        return Exchange()
    if isinstance(given, str):
        return Exchange(given)
    if isinstance(given, Exchange):
        return given
    if not isinstance(getattr(given, "name", None), str):
        raise ImproperlyConfigured(f"exchange must be an Exchange or its name, got {given!r}")
    return Exchange(
        given.name,
        getattr(given, "type", None) or "direct",
        durable=bool(getattr(given, "durable", True)),
        auto_delete=bool(getattr(given, "auto_delete", False)),
        delivery_mode=getattr(given, "delivery_mode", None),
        arguments=getattr(given, "arguments", None),
    )


def _of_type(kind: str) -> dict[str, Any]:
    """Arguments of a queue of that type; a classic one needs none."""
    return {} if kind == "classic" else {"x-queue-type": kind}
