"""Limits that change while the worker runs. Each change lasts until the worker ends; the texts are Celery's."""

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
    try:
        rate = _core.parse_rate(rate_limit)
    except (TypeError, ValueError) as error:
        return {"error": f"Invalid rate limit string: {error!r}"}
    task = state.app.tasks.get(task_name)
    if task is None:
        logger.error("rate limit for unknown task %r refused", task_name)
        return {"error": "unknown task"}
    if rate and state.app.conf["worker_disable_rate_limits"]:
        return {"error": "rate limits are off in this worker: worker_disable_rate_limits is on"}
    task.rate_limit = rate_limit
    state.set_rate(task_name, rate_limit)
    if not rate:
        logger.info("Rate limits disabled for tasks of type %s", task_name)
        return {"ok": "rate limit disabled successfully"}
    logger.info("New rate limit for tasks of type %s: %s.", task_name, rate_limit)
    return {"ok": "new rate limit set successfully"}


@command(
    "time_limit",
    kind="control",
    args="<task> <soft seconds> [hard seconds]",
    help="Interrupt tasks of this name after so long; those that start from now on.",
)
def time_limit(
    state: WorkerState, task_name: str, soft: str | float | None = None, hard: str | float | None = None
) -> Reply:
    """A limit that is not named is lifted, as in Celery."""
    limits = (_seconds("soft", soft), _seconds("hard", hard))
    task = state.app.tasks.get(task_name)
    if task is None:
        logger.error("time limit for unknown task %r refused", task_name)
        return {"error": "unknown task"}
    task.soft_time_limit, task.time_limit = limits
    state.set_time_limits(task_name, *limits)
    logger.info("New time limits for tasks of type %s: soft=%s hard=%s", task_name, *limits)
    return {"ok": "time limits set successfully"}


def _seconds(name: str, value: str | float | None) -> float | None:
    """Raises ValueError."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = -1.0
    if not 0 < seconds < float("inf"):
        raise ValueError(f"the {name} limit must be seconds above 0, got {value!r}")
    return seconds
