"""Queues and exchanges, in Kombu's spelling.

They are plain data: nothing is connected or declared here. What makes no sense is refused where it is written, in one
line. A queue is reached by its own name through the exchange `""`, and through every exchange that it is bound to.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from celery_rs._core import new_id
from celery_rs.errors import ImproperlyConfigured

EXCHANGE_TYPES = ("direct", "topic", "fanout", "headers")
"""A type that begins with `x-` belongs to a plug-in of the broker, and is taken as it is."""

_MOST_S = 1e10
_MODES = {"transient": 1, "persistent": 2, 1: 1, 2: 2}


@dataclass(frozen=True, slots=True, init=False)
class Exchange:
    """An exchange; the default one has the name `""`. `type` is direct, topic, fanout or headers."""

    name: str
    type: str
    durable: bool
    auto_delete: bool
    delivery_mode: int | None
    arguments: dict[str, Any] = field(hash=False)
    passive: bool
    no_declare: bool

    def __init__(
        self,
        name: str = "",
        type: str = "direct",
        *,
        durable: bool = True,
        auto_delete: bool = False,
        delivery_mode: int | str | None = None,
        arguments: Mapping[str, Any] | None = None,
        passive: bool = False,
        no_declare: bool = False,
    ) -> None:
        """Raises ImproperlyConfigured for what no exchange can have."""
        what = f"exchange {name!r}"
        if delivery_mode is not None and (isinstance(delivery_mode, bool) or delivery_mode not in _MODES):
            raise ImproperlyConfigured(
                f"{what}: delivery_mode must be 1 ('transient') or 2 ('persistent'), got {delivery_mode!r}"
            )
        _set(
            self,
            name=_text("exchange", "name", name),
            type=_kind(what, type or "direct"),
            durable=_flag(what, "durable", durable),
            auto_delete=_flag(what, "auto_delete", auto_delete),
            delivery_mode=None if delivery_mode is None else _MODES[delivery_mode],
            arguments=_arguments(what, "arguments", arguments),
            passive=_flag(what, "passive", passive),
            no_declare=_flag(what, "no_declare", no_declare),
        )


@dataclass(frozen=True, slots=True, init=False)
class binding:  # noqa: N801  (Kombu's name)
    """What brings messages of an exchange to a queue: `binding(Exchange("news", "topic"), "sport.#")`."""

    exchange: Exchange
    routing_key: str
    arguments: dict[str, Any] = field(hash=False)
    unbind_arguments: dict[str, Any] = field(hash=False)

    def __init__(
        self,
        exchange: Exchange | str | None = None,
        routing_key: str = "",
        arguments: Mapping[str, Any] | None = None,
        unbind_arguments: Mapping[str, Any] | None = None,
    ) -> None:
        """Raises ImproperlyConfigured, also without an exchange: every queue is bound to the default one as it is."""
        home = _exchange("binding", exchange)
        if not home.name:
            raise ImproperlyConfigured(f"binding: exchange must be an Exchange or its name, got {exchange!r}")
        what = f"binding to {home.name!r}"
        _set(
            self,
            exchange=home,
            routing_key=_text(what, "routing_key", routing_key),
            arguments=_arguments(what, "arguments", arguments),
            unbind_arguments=_arguments(what, "unbind_arguments", unbind_arguments),
        )


@dataclass(frozen=True, slots=True, init=False)
class Queue:
    """A queue and how it is bound: to `exchange` by `routing_key`, and by further `bindings`.

    Its name is enough where messages are sent to the queue itself. `alias` is what else it is called in `-Q` and
    `queue=`. `expires` and `message_ttl` are seconds; they and the `max_*` are added to `queue_arguments` in
    `arguments`, which a transport declares. `no_ack` is kept for Kombu's sake: a worker always acknowledges.
    """

    name: str
    exchange: Exchange
    routing_key: str
    durable: bool
    exclusive: bool
    auto_delete: bool
    max_priority: int | None
    queue_arguments: dict[str, Any] = field(hash=False)
    bindings: tuple[binding, ...]
    binding_arguments: dict[str, Any] = field(hash=False)
    consumer_arguments: dict[str, Any] = field(hash=False)
    alias: str | None
    expires: float | None
    message_ttl: float | None
    max_length: int | None
    max_length_bytes: int | None
    no_ack: bool
    no_declare: bool

    def __init__(
        self,
        name: str,
        exchange: Exchange | str | list[binding] | tuple[binding, ...] | set[binding] | None = None,
        routing_key: str | None = "",
        *,
        bindings: Collection[binding] | None = None,
        queue_arguments: Mapping[str, Any] | None = None,
        binding_arguments: Mapping[str, Any] | None = None,
        consumer_arguments: Mapping[str, Any] | None = None,
        durable: bool = True,
        exclusive: bool = False,
        auto_delete: bool = False,
        no_ack: bool = False,
        alias: str | None = None,
        expires: float | None = None,
        message_ttl: float | None = None,
        max_length: int | None = None,
        max_length_bytes: int | None = None,
        max_priority: int | None = None,
        no_declare: bool | None = None,
    ) -> None:
        """`exchange` may also be a collection of bindings. Raises ImproperlyConfigured for what no queue can have."""
        if not _text("queue", "name", name):
            raise ImproperlyConfigured("queue: name must be a string that is not empty, got ''")
        what = f"queue {name!r}"
        if isinstance(exchange, list | tuple | set):
            bindings = [*exchange, *(bindings or ())]
            exchange = None
        exclusive = _flag(what, "exclusive", exclusive)
        _set(
            self,
            name=name,
            exchange=_exchange(what, exchange),
            routing_key=_text(what, "routing_key", "" if routing_key is None else routing_key),
            durable=_flag(what, "durable", durable),
            exclusive=exclusive,
            # What only one connection may use is of no use after it.
            auto_delete=_flag(what, "auto_delete", auto_delete) or exclusive,
            max_priority=_count(what, "max_priority", max_priority, most=255),
            queue_arguments=_queue_arguments(what, queue_arguments),
            bindings=_bindings(what, bindings),
            binding_arguments=_arguments(what, "binding_arguments", binding_arguments),
            consumer_arguments=_arguments(what, "consumer_arguments", consumer_arguments),
            alias=None if alias is None else _text(what, "alias", alias),
            expires=_seconds(what, "expires", expires),
            message_ttl=_seconds(what, "message_ttl", message_ttl),
            max_length=_count(what, "max_length", max_length),
            max_length_bytes=_count(what, "max_length_bytes", max_length_bytes),
            no_ack=_flag(what, "no_ack", no_ack),
            no_declare=no_declare is not None and _flag(what, "no_declare", no_declare),
        )

    @property
    def all_bindings(self) -> tuple[binding, ...]:
        """Every way to this queue but its own name; its `exchange` first, if it has one."""
        if not self.exchange.name:
            return self.bindings
        own = binding(self.exchange, self.routing_key, self.binding_arguments)
        return (own, *(each for each in self.bindings if each != own))

    @property
    def arguments(self) -> dict[str, Any]:
        """What the broker is to be told of the queue: `queue_arguments` and what the other attributes ask for."""
        asked = {
            "x-expires": _milliseconds(self.expires),
            "x-message-ttl": _milliseconds(self.message_ttl),
            "x-max-length": self.max_length,
            "x-max-length-bytes": self.max_length_bytes,
            "x-max-priority": self.max_priority,
        }
        return self.queue_arguments | {name: value for name, value in asked.items() if value is not None}

    @property
    def is_fleeting(self) -> bool:
        """Whether it is one listener's copy of what many hear: bound while it is consumed, gone with its consumer."""
        return self.auto_delete and any(each.exchange.type == "fanout" for each in self.all_bindings)

    def changed(self, **changes: Any) -> "Queue":
        """A queue like this one but for `changes`."""
        return Queue(**{each.name: getattr(self, each.name) for each in fields(Queue)} | changes)


class Broadcast(Queue):
    """A queue of each worker's own on a fanout exchange: every worker that consumes `Broadcast("news")` gets a copy.

    It goes by the name `news` in `-Q` and `queue=`. With `queue` it has that name instead of one that nobody else
    has, or with `unique` one that begins so.
    """

    __slots__ = ()

    def __init__(
        self,
        name: str | None = None,
        queue: str | None = None,
        unique: bool = False,
        auto_delete: bool = True,
        exchange: Exchange | str | None = None,
        alias: str | None = None,
        **options: Any,
    ) -> None:
        """`options` are those of a Queue. Raises ImproperlyConfigured."""
        if name is None and exchange is None:
            raise ImproperlyConfigured("Broadcast: a name was expected, for its exchange and for `-Q`, got None")
        own = f"{queue or 'bcast'}.{new_id()}" if unique or queue is None else queue
        super().__init__(
            own,
            Exchange(_text("Broadcast", "name", name), "fanout") if exchange is None else exchange,
            auto_delete=auto_delete,
            alias=alias or name,
            **options,
        )


def worker_direct(node: str | Queue) -> Queue:
    """The queue of one worker, where `worker_direct` is on: `apply_async(queue=worker_direct("w1@host"))`."""
    return node if isinstance(node, Queue) else Queue(f"{node}.dq2", Exchange("C.dq2"), node)


def _set(made: object, **values: Any) -> None:
    for name, value in values.items():
        object.__setattr__(made, name, value)


def _exchange(what: str, given: object) -> Exchange:
    if given is None:
        return Exchange()
    if isinstance(given, str):
        return Exchange(given)
    if isinstance(given, Exchange):
        return given
    raise ImproperlyConfigured(f"{what}: exchange must be an Exchange or its name, got {given!r}")


def _bindings(what: str, given: Collection[object] | None) -> tuple[binding, ...]:
    if given is not None and (isinstance(given, str) or not isinstance(given, Collection)):
        raise ImproperlyConfigured(f"{what}: bindings must be a list of binding(exchange, routing_key), got {given!r}")
    found = []
    for each in given or ():
        if not isinstance(each, binding):
            raise ImproperlyConfigured(f"{what}: bindings must hold binding(exchange, routing_key), got {each!r}")
        found.append(each)
    return tuple(found)


def _kind(what: str, given: object) -> str:
    if not isinstance(given, str) or not (given in EXCHANGE_TYPES or given.startswith("x-")):
        raise ImproperlyConfigured(f"{what}: type must be one of {', '.join(EXCHANGE_TYPES)}, got {given!r}")
    return given


def _text(what: str, name: str, given: object) -> str:
    if not isinstance(given, str):
        raise ImproperlyConfigured(f"{what}: {name} must be a string, got {given!r}")
    try:
        given.encode()
    except UnicodeEncodeError:
        raise ImproperlyConfigured(f"{what}: {name} must be text, got half a surrogate pair in {given!r}") from None
    return given


def _flag(what: str, name: str, given: object) -> bool:
    if not isinstance(given, bool):
        raise ImproperlyConfigured(f"{what}: {name} must be True or False, got {given!r}")
    return given


def _arguments(what: str, name: str, given: object) -> dict[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, Mapping) or not all(isinstance(key, str) for key in given):
        raise ImproperlyConfigured(f"{what}: {name} must be a dict with names for keys, got {given!r}")
    return dict(given)


def _queue_arguments(what: str, given: object) -> dict[str, Any]:
    found = _arguments(what, "queue_arguments", given)
    expires = found.get("x-expires")
    if expires is not None:
        is_number = isinstance(expires, int | float) and not isinstance(expires, bool)
        if not is_number or not 0 < expires <= 1000 * _MOST_S:
            raise ImproperlyConfigured(f"{what}: x-expires must be milliseconds, above 0, got {expires!r}")
    return found


def _seconds(what: str, name: str, given: object) -> float | None:
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 < given <= _MOST_S:
        raise ImproperlyConfigured(f"{what}: {name} must be seconds, above 0, got {given!r}")
    return given


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds * 1000)


def _count(what: str, name: str, given: object, most: int | None = None) -> int | None:
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, int) or given < 0 or (most is not None and given > most):
        limit = "not below 0" if most is None else f"from 0 to {most}"
        raise ImproperlyConfigured(f"{what}: {name} must be a whole number, {limit}, got {given!r}")
    return given
