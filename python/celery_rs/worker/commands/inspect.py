"""Commands that only look. Their replies are Celery's, field for field (docs/internals/wire-protocol.md, 6.3)."""

import json
import platform
from collections.abc import Sequence
from typing import Any

from celery_rs._core import Envelope
from celery_rs.wire import Queue
from celery_rs.worker.commands.state import ActiveTask, WorkerState
from celery_rs.worker.commands.table import Reply, command


@command("ping", kind="inspect", help="Answer pong.")
def ping(state: WorkerState) -> Reply:
    return {"ok": "pong"}


@command("active", kind="inspect", aliases=("dump_active",), help="The tasks that run now.")
def active(state: WorkerState, safe: bool = False) -> Reply:
    return [_request_info(state, task, safe) for task in state.active()]


@command(
    "reserved", kind="inspect", aliases=("dump_reserved",), help="The tasks that are held here and have not started."
)
def reserved(state: WorkerState, safe: bool = False) -> Reply:
    return [_request_info(state, task, safe) for task in state.reserved()]


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


@command("report", kind="inspect", help="Versions, for a bug report.")
def report(state: WorkerState) -> Reply:
    return {"ok": f"{state.hostname}: python {platform.python_version()}, {platform.platform()}"}


@command("hello", kind="inspect", hidden=True, help="What a Celery worker asks its neighbours when it starts.")
def hello(state: WorkerState, from_node: str, revoked: Sequence[str] | None = None) -> Reply:
    # No revokes and no Lamport clock are kept here: an empty list and 0 leave the asking worker as it is.
    return None if from_node == state.hostname else {"revoked": [], "clock": 0}


def _request_info(state: WorkerState, task: ActiveTask, safe: bool) -> dict[str, Any]:
    envelope = task.envelope
    args, kwargs = _arguments(envelope, safe)
    return {
        "id": envelope.id,
        "name": envelope.task,
        "args": args,
        "kwargs": kwargs,
        "type": envelope.task,
        "hostname": state.hostname,
        "time_start": task.time_start,
        "acknowledged": task.acknowledged,
        "delivery_info": {
            "exchange": envelope.exchange,
            "routing_key": envelope.routing_key,
            "priority": envelope.priority,
            "redelivered": task.redelivered,
        },
        "worker_pid": task.worker_pid,
    }


def _arguments(envelope: Envelope, safe: bool) -> tuple[Any, Any]:
    """The real values of a JSON body; of any other only the reprs that its sender wrote (opening it could run code)."""
    if not safe and envelope.content_type == "application/json" and not envelope.compression:
        try:
            args, kwargs, _embed = json.loads(envelope.body)
        except (ValueError, TypeError, RecursionError):
            pass  # a body that cannot be read fails in its child, which says why
        else:
            return args, kwargs
    return envelope.argsrepr, envelope.kwargsrepr


def _with_attributes(name: str, task: Any, wanted: Sequence[str]) -> str:
    values = {attribute: getattr(task, attribute, None) for attribute in wanted}
    shown = " ".join(f"{attribute}={value}" for attribute, value in values.items() if value is not None)
    return f"{name} [{shown}]" if shown else name


def _queue_info(queue: Queue) -> dict[str, Any]:
    return {
        "name": queue.name,
        "exchange": {
            "name": queue.exchange.name,
            "type": queue.exchange.type,
            "arguments": queue.exchange.arguments or None,
            "durable": queue.exchange.durable,
            "passive": False,
            "auto_delete": queue.exchange.auto_delete,
            "delivery_mode": queue.exchange.delivery_mode,
            "no_declare": False,
        },
        "routing_key": queue.routing_key,
        "queue_arguments": queue.queue_arguments or None,
        "binding_arguments": None,
        "consumer_arguments": None,
        "durable": queue.durable,
        "exclusive": queue.exclusive,
        "auto_delete": queue.auto_delete,
        "no_ack": False,
        "alias": None,
        "bindings": [],
        "no_declare": None,
        "expires": None,
        "message_ttl": None,
        "max_length": None,
        "max_length_bytes": None,
        "max_priority": queue.max_priority,
    }
