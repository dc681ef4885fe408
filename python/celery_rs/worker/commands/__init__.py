"""Remote commands: one table, which the worker runs and the command line reads."""

from celery_rs.worker.commands import inspect, limits
from celery_rs.worker.commands.state import ActiveTask, WorkerState
from celery_rs.worker.commands.table import (
    Command,
    CommandKind,
    Parameter,
    Reply,
    command,
    find_command,
    list_commands,
    run,
)

__all__ = [
    "ActiveTask",
    "Command",
    "CommandKind",
    "Parameter",
    "Reply",
    "WorkerState",
    "command",
    "find_command",
    "inspect",
    "limits",
    "list_commands",
    "run",
]
