"""Remote commands: one table, which the worker runs and the command line reads."""

from celery_rs.worker.commands import events, inspect, limits, memory, revoking, running
from celery_rs.worker.commands.state import Later, Promise, WorkerState
from celery_rs.worker.commands.table import (
    Command,
    CommandKind,
    Parameter,
    Reply,
    command,
    control_command,
    find_command,
    inspect_command,
    list_commands,
    run,
)

__all__ = [
    "Command",
    "CommandKind",
    "Later",
    "Parameter",
    "Promise",
    "Reply",
    "WorkerState",
    "command",
    "control_command",
    "events",
    "find_command",
    "inspect",
    "inspect_command",
    "limits",
    "list_commands",
    "memory",
    "revoking",
    "run",
    "running",
]
