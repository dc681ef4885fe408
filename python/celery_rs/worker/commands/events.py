"""What monitors ask of workers. The texts are Celery's."""

import logging
from typing import Any

from celery_rs.worker.commands.state import WorkerState
from celery_rs.worker.commands.table import Reply, command

logger = logging.getLogger(__name__)


@command("enable_events", kind="control", help="Send events of tasks.")
def enable_events(state: WorkerState) -> Reply:
    if state.send_task_events(True):
        return {"ok": "task events already enabled"}
    logger.info("Events of group {task} enabled by remote.")
    return {"ok": "task events enabled"}


@command("disable_events", kind="control", help="Send no events of tasks, also where the worker was started with -E.")
def disable_events(state: WorkerState) -> Reply:
    if not state.send_task_events(False):
        return {"ok": "task events already disabled"}
    logger.info("Events of group {task} disabled by remote.")
    return {"ok": "task events disabled"}


@command("heartbeat", kind="control", help="Send a heartbeat now.")
def heartbeat(state: WorkerState) -> Reply:
    logger.debug("Heartbeat requested by remote.")
    state.beat()
    return None


@command(
    "election",
    kind="control",
    args="<id> <topic> [action]",
    hidden=True,
    help="Not there: this worker does not stand for election.",
)
def election(state: WorkerState, id: str, topic: str, action: Any = None) -> Reply:
    """Celery's workers elect one of themselves. A word of this one could make the only candidate win, and crash."""
    logger.warning("an election on %r was called for; this worker takes no part", topic)
    return None
