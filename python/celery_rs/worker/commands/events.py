"""Commands of Celery's that need what this worker does not have yet: each says so in its reply."""

from celery_rs.worker.commands.state import WorkerState
from celery_rs.worker.commands.table import Reply, command


@command("enable_events", kind="control", help="Not there yet: task events are not sent.")
def enable_events(state: WorkerState) -> Reply:
    return _refuse("enable_events")


@command("disable_events", kind="control", help="Not there yet: task events are not sent.")
def disable_events(state: WorkerState) -> Reply:
    return _refuse("disable_events")


@command("heartbeat", kind="control", help="Not there yet: events are not sent; `inspect ping` says who lives.")
def heartbeat(state: WorkerState) -> Reply:
    return _refuse("heartbeat")


@command(
    "election",
    kind="control",
    args="<id> <topic> [action]",
    hidden=True,
    help="Not there yet: workers do not elect.",
)
def election(state: WorkerState, id: str, topic: str, action: str | None = None) -> Reply:
    return _refuse("election")


def _refuse(name: str) -> Reply:
    return {"error": f"{name} is not supported: this worker sends no events yet"}
