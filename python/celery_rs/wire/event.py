"""Events on the wire: what workers and clients tell monitors (docs/internals/wire-protocol.md, 7).

An event is a flat JSON object. It travels alone under its type (`task-sent` → `task.sent`), or with others of its group
as an array (`task.multi`). Opening never raises, since anybody may write to the exchange.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from celery_rs.wire.broadcast import Unreadable, Wrong, open_body, seal
from celery_rs.wire.message import Message
from celery_rs.wire.topology import Exchange

EventFields = Mapping[str, Any]


class Event(NamedTuple):
    """Something that happened. `timestamp` is epoch seconds, `clock` the teller's logical time."""

    type: str
    timestamp: float
    pid: int
    clock: int
    fields: EventFields
    alone: bool = False
    """It travels as an object of its own."""


def event_exchange(name: str) -> Exchange:
    """The exchange of `event_exchange` (Celery's default: `celeryev`)."""
    return Exchange(name, "topic")


def routing_key(type: str) -> str:
    """`worker-elect-ack` → `worker.elect.ack`."""
    return type.replace("-", ".")


def event_body(event: Event, hostname: str, utcoffset: float) -> dict[str, Any]:
    """The event as its readers see it, in Celery's order of fields."""
    return {
        "hostname": hostname,
        "utcoffset": utcoffset,
        "pid": event.pid,
        "clock": event.clock,
        **event.fields,
        "timestamp": event.timestamp,
        "type": event.type,
    }


def seal_events(
    events: Iterable[Event], exchange: str, hostname: str, *, most: int = 100
) -> list[tuple[str, list[bytes]]]:
    """Envelopes by routing key, in the order of the events; up to `most` neighbours of a group share one."""
    offset = utcoffset()
    sealed: list[tuple[str, list[bytes]]] = []
    for key, bodies in _gathered(events, hostname, offset, most):
        envelope = seal(bodies, {"hostname": hostname}, exchange, key, delivery_mode=1)
        if sealed and sealed[-1][0] == key:
            sealed[-1][1].append(envelope)
        else:
            sealed.append((key, [envelope]))
    return sealed


def _gathered(events: Iterable[Event], hostname: str, offset: float, most: int) -> Iterable[tuple[str, Any]]:
    """Routing keys with an event each, or a list of them."""
    group: str = ""
    together: list[dict[str, Any]] = []
    for event in events:
        body = event_body(event, hostname, offset)
        its_group = "" if event.alone else event.type.partition("-")[0]
        if together and (its_group != group or len(together) >= most):
            yield f"{group}.multi", together
            together = []
        if event.alone:
            yield routing_key(event.type), body
        else:
            group = its_group
            together.append(body)
    if together:
        yield f"{group}.multi", together


def sent_fields(message: Message, exchange: str, routing_key: str, queue: str | None = None) -> dict[str, Any]:
    """What task-sent says of a message; without an exchange its queue has the name of the routing key."""
    return {
        "uuid": message.id,
        "root_id": message.root_id,
        "parent_id": message.parent_id,
        "name": message.task,
        "args": message.argsrepr,
        "kwargs": message.kwargsrepr,
        "retries": message.retries,
        "eta": message.eta,
        "expires": message.expires,
        "queue": queue if exchange else routing_key,
        "exchange": exchange,
        "routing_key": routing_key,
    }


def open_events(raw: bytes) -> Sequence[dict[str, Any]] | Unreadable:
    """The events in an envelope; what is none among others is left out."""
    try:
        _, body = open_body(raw)
        found = body if isinstance(body, list) else [body]
        events = [event for event in found if isinstance(event, dict) and isinstance(event.get("type"), str)]
        if not events:
            raise Wrong("expected an event with a type, or a list of them, got", body)
    except Wrong as wrong:
        return Unreadable(str(wrong))
    return events


def utcoffset() -> float:
    """Hours that the local zone is behind UTC, as Celery counts them."""
    here = time.localtime()
    return float((time.altzone if here.tm_isdst > 0 else time.timezone) // 3600)
