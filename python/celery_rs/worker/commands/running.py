"""The worker as a whole: its end, its pool, its queues. The texts are Celery's."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from celery_rs.wire import Exchange, Queue
from celery_rs.worker.commands.state import WorkerState
from celery_rs.worker.commands.table import Reply, command

logger = logging.getLogger(__name__)

_OPTIONS = (
    "durable", "exclusive", "auto_delete", "expires", "message_ttl", "max_length", "max_length_bytes", "max_priority",
    "queue_arguments", "binding_arguments", "consumer_arguments", "no_ack", "no_declare",
)  # fmt: skip


@command("shutdown", kind="control", help="Finish what runs, give the rest back, end.")
def shutdown(state: WorkerState, msg: str = "Got shutdown from remote") -> Reply:
    """Celery's worker answers nothing; so that its asker need not wait, this one does."""
    logger.warning("%s", msg)
    state.shutdown()
    return {"ok": "shutting down"}


@command("pool_grow", kind="control", args="[N=1]", help="Run N tasks more at once.")
def pool_grow(state: WorkerState, n: int = 1) -> Reply:
    state.resize(int(n))
    return {"ok": "pool will grow"}


@command("pool_shrink", kind="control", args="[N=1]", help="Run N tasks fewer at once; those that run end first.")
def pool_shrink(state: WorkerState, n: int = 1) -> Reply:
    state.resize(-int(n))
    return {"ok": "pool will shrink"}


@command("autoscale", kind="control", args="[MAX [MIN]]", help="Change the bounds of autoscaling.")
def autoscale(state: WorkerState, max: int | None = None, min: int | None = None) -> Reply:
    most, least = state.autoscale(None if max is None else int(max), None if min is None else int(min))
    return {"ok": f"autoscale now max={most} min={least}"}


@command("pool_restart", kind="control", help="Replace every pool process (worker_pool_restarts must be on).")
def pool_restart(
    state: WorkerState, modules: Sequence[str] | None = None, reload: bool = False, reloader: Any = None
) -> Reply:
    if not state.app.conf["worker_pool_restarts"]:
        raise ValueError("Pool restarts not enabled")
    if modules or reload or reloader:
        raise ValueError("expected no modules: pool processes import nothing anew; restart the worker instead")
    state.restart_pool()
    return {"ok": "reload started"}


@command(
    "add_consumer", kind="control", args="<queue> [exchange [type [routing key]]]", help="Consume from this queue too."
)
def add_consumer(
    state: WorkerState,
    queue: str,
    exchange: str | None = None,
    exchange_type: str | None = None,
    routing_key: str | None = None,
    **options: Any,
) -> Reply:
    """`options` are further ones of the queue's, such as durable, expires or queue_arguments."""
    if not queue:
        raise ValueError(f"expected a queue's name, got {queue!r}")
    if any(queue in (known.name, known.alias) for known in state.queues()):
        return {"ok": f"already consuming from {queue!r}"}
    return state.consume(_queue(state, queue, exchange, exchange_type, routing_key, options))


@command("cancel_consumer", kind="control", args="<queue>", help="Consume no more from this queue.")
def cancel_consumer(state: WorkerState, queue: object) -> Reply:
    """What has been received already is still run."""
    if not isinstance(queue, str) or not queue:
        raise ValueError(f"expected a queue's name, got {queue!r}")
    state.cancel(queue)
    logger.info("Canceled queue %s", queue)
    return {"ok": f"no longer consuming from {queue}"}


def _queue(
    state: WorkerState,
    name: str,
    exchange: str | None,
    type: str | None,
    routing_key: str | None,
    options: Mapping[str, Any],
) -> Queue:
    """As configured, unless more than its name was given. Raises TypeError for an option that queues do not have."""
    unknown = [option for option in options if option not in _OPTIONS]
    if unknown:
        raise TypeError(f"expected queue options ({', '.join(_OPTIONS)}), got {', '.join(unknown)}")
    if not exchange and not routing_key and type in (None, "direct") and not options:
        return state.configured(name)
    if type not in (None, "direct", "topic", "fanout"):
        raise ValueError(f"expected an exchange type of direct, topic or fanout, got {type!r}")
    return Queue(name, Exchange(exchange or name, type or "direct"), routing_key or name, **options)
