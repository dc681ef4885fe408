"""Remote commands: one table, which the worker runs and the command line reads."""

from celery_rs.worker.commands import inspect, limits
from celery_rs.worker.commands.state import ActiveTask, WorkerState
from celery_rs.worker.commands.table import Command, Kind, Parameter, Reply, command, commands, find, run

__all__ = [
    "ActiveTask",
    "Command",
    "Kind",
    "Parameter",
    "Reply",
    "WorkerState",
    "command",
    "commands",
    "find",
    "inspect",
    "limits",
    "run",
]
