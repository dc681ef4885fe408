"""The worker: receives messages, runs tasks in a pool, finishes them."""

from celery_rs.worker.commands import Command, CommandKind, Parameter, command, find_command, list_commands
from celery_rs.worker.options import PoolName, WorkerOptions
from celery_rs.worker.worker import Worker

__all__ = [
    "Command",
    "CommandKind",
    "Parameter",
    "PoolName",
    "Worker",
    "WorkerOptions",
    "command",
    "find_command",
    "list_commands",
]
