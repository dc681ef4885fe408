"""Limits that change while the worker runs."""

import logging

from celery_rs import _core
from celery_rs.worker.commands.state import WorkerState
from celery_rs.worker.commands.table import Reply, command

logger = logging.getLogger(__name__)


@command(
    "rate_limit",
    kind="control",
    args="<task> <10/s | 5/m | 2/h | 0>",
    help="Start tasks of this name at most so often in each worker; 0 lifts the limit.",
)
def rate_limit(state: WorkerState, task_name: str, rate_limit: str | float | None) -> Reply:
    """The texts are Celery's. The change lasts until the worker ends."""
    try:
        rate = _core.parse_rate(rate_limit)
    except (TypeError, ValueError) as error:
        return {"error": f"Invalid rate limit string: {error!r}"}
    task = state.app.tasks.get(task_name)
    if task is None:
        logger.error("rate limit for unknown task %r refused", task_name)
        return {"error": "unknown task"}
    task.rate_limit = rate_limit
    state.set_rate(task_name, rate_limit)
    if not rate:
        logger.info("Rate limits disabled for tasks of type %s", task_name)
        return {"ok": "rate limit disabled successfully"}
    logger.info("New rate limit for tasks of type %s: %s.", task_name, rate_limit)
    return {"ok": "new rate limit set successfully"}
