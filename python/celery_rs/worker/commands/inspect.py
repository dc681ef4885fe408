"""Commands that only look. Their replies are Celery's, field for field (docs/internals/wire-protocol.md, 6.3)."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from celery_rs._core import Envelope
from celery_rs.control import ids_of
from celery_rs.wire import Exchange, Queue, instant
from celery_rs.worker.commands.state import Later, WorkerState
from celery_rs.worker.commands.table import Reply, command
from celery_rs.worker.request import Request

SCHEDULED_MOST = 1000
"""How many scheduled tasks are listed."""


@command("ping", kind="inspect", help="Answer pong.")
def ping(state: WorkerState) -> Reply:
    return {"ok": "pong"}


@command("active", kind="inspect", aliases=("dump_active",), help="The tasks that run now.")
def active(state: WorkerState, safe: bool = False) -> Reply:
    return [request.info(safe=safe) for request in state.active()]


@command(
    "reserved", kind="inspect", aliases=("dump_reserved",), help="The tasks that are held here and have not started."
)
def reserved(state: WorkerState, safe: bool = False) -> Reply:
    return [request.info(safe=safe) for request in state.reserved()]


@command(
    "scheduled",
    kind="inspect",
    aliases=("dump_schedule",),
    help="The tasks that wait for their ETA, here or (the first 1,000) at the broker, in the queues it consumes from.",
)
def scheduled(state: WorkerState) -> Later:
    here = [_scheduled(request) for request in state.scheduled()]

    def compute() -> Reply:
        kept = [_scheduled(request, due) for request, due in _kept(state)]
        return [*here, *kept][:SCHEDULED_MOST]

    return Later(compute)


@command("revoked", kind="inspect", aliases=("dump_revoked",), help="The ids of revoked tasks.")
def revoked(state: WorkerState) -> Reply:
    return list(state.revoked())


@command("query_task", kind="inspect", args="<id> [id ...]", help="Where these tasks are in this worker.")
def query_task(state: WorkerState, ids: Sequence[str] | str) -> Reply:
    """`{id: [place, info]}` with place active, reserved or scheduled; those that are not here are left out.

    Scheduled are also those that the broker keeps for its queues: in Celery they would be here.
    """
    wanted = set(ids_of(ids))
    places = (("scheduled", state.scheduled()), ("reserved", state.reserved()), ("active", state.active()))
    here = {one.id: [place, one.info()] for place, requests in places for one in requests if one.id in wanted}
    if wanted <= here.keys():
        return here

    def compute() -> Reply:
        kept = (request for request, _ in _kept(state) if request.id in wanted)
        return {request.id: ["scheduled", request.info()] for request in kept} | here

    return Later(compute)


@command("clock", kind="inspect", help="Its logical clock.")
def clock(state: WorkerState) -> Reply:
    return {"clock": state.clock()}


@command(
    "conf",
    kind="inspect",
    args="[include_defaults]",
    aliases=("dump_conf",),
    help="Its settings, secrets masked; with `yes` also those that nobody set.",
)
def conf(state: WorkerState, with_defaults: bool = False) -> Reply:
    return json.loads(json.dumps(state.app.conf.table(with_defaults=with_defaults), default=repr, skipkeys=True))


@command("stats", kind="inspect", help="Counts, pool, uptime, resources.")
def stats(state: WorkerState) -> Reply:
    return dict(state.stats())


@command("active_queues", kind="inspect", help="The queues that it consumes from.")
def active_queues(state: WorkerState) -> Reply:
    return [_queue_info(queue) for queue in state.queues()]


@command(
    "registered",
    kind="inspect",
    args="[attribute ...]",
    aliases=("dump_tasks",),
    help="The tasks that it knows, with these attributes where they are set.",
)
def registered(
    state: WorkerState,
    taskinfoitems: Sequence[str] | None = None,
    builtins: bool = False,
) -> Reply:
    wanted = taskinfoitems or ("exchange", "routing_key", "rate_limit")
    names = sorted(name for name in state.app.tasks if builtins or not name.startswith("celery."))
    return [_with_attributes(name, state.app.tasks[name], wanted) for name in names]


@command("report", kind="inspect", help="Versions and settings, for a bug report.")
def report(state: WorkerState) -> Reply:
    return {"ok": state.app.bugreport()}


@command("hello", kind="inspect", hidden=True, help="What a Celery worker asks its neighbours when it starts.")
def hello(state: WorkerState, from_node: str, revoked: Sequence[str] | Mapping[str, Any] | None = None) -> Reply:
    """It tells what was revoked where it was; both know it afterwards."""
    if from_node == state.hostname:
        return None
    if revoked:
        state.revoke(ids_of(list(revoked)))
    return {"revoked": list(state.revoked()), "clock": state.clock()}


def _kept(state: WorkerState) -> Iterator[tuple[Request, float]]:
    """What the broker keeps until its time; it asks the broker."""
    for delayed in state.scheduled_at_broker(SCHEDULED_MOST):
        if isinstance(delayed.envelope, Envelope):
            yield Request(state.app, state.hostname, delayed.envelope), delayed.due


def _scheduled(request: Request, due: float | None = None) -> dict[str, Any]:
    eta = request.eta if due is None else instant(due)
    priority = request.envelope.priority
    return {"eta": eta and eta.isoformat(), "priority": priority, "request": request.info()}


def _with_attributes(name: str, task: Any, wanted: Sequence[str]) -> str:
    values = {attribute: getattr(task, attribute, None) for attribute in wanted}
    shown = " ".join(f"{attribute}={value}" for attribute, value in values.items() if value is not None)
    return f"{name} [{shown}]" if shown else name


def _queue_info(queue: Queue) -> dict[str, Any]:
    return {
        "name": queue.name,
        # A queue that is bound to nothing is reached by its own name: Celery names its exchange so, too.
        "exchange": _exchange_info(queue.exchange, queue.exchange.name or queue.name),
        "routing_key": queue.routing_key,
        "queue_arguments": queue.queue_arguments or None,
        "binding_arguments": queue.binding_arguments or None,
        "consumer_arguments": queue.consumer_arguments or None,
        "durable": queue.durable,
        "exclusive": queue.exclusive,
        "auto_delete": queue.auto_delete,
        "no_ack": queue.no_ack,
        "alias": queue.alias,
        "bindings": [
            {"exchange": _exchange_info(bound.exchange, bound.exchange.name), "routing_key": bound.routing_key}
            for bound in queue.bindings
        ],
        "no_declare": queue.no_declare or None,
        "expires": queue.expires,
        "message_ttl": queue.message_ttl,
        "max_length": queue.max_length,
        "max_length_bytes": queue.max_length_bytes,
        "max_priority": queue.max_priority,
    }


def _exchange_info(exchange: Exchange, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "type": exchange.type,
        "arguments": exchange.arguments or None,
        "durable": exchange.durable,
        "passive": exchange.passive,
        "auto_delete": exchange.auto_delete,
        "delivery_mode": exchange.delivery_mode,
        "no_declare": exchange.no_declare,
    }
