"""The worker: receives messages, runs tasks in a pool, finishes them."""

from celery_rs.worker.commands import (
    Command,
    CommandKind,
    Parameter,
    command,
    control_command,
    find_command,
    inspect_command,
    list_commands,
)
from celery_rs.worker.options import PoolName, WorkerOptions
from celery_rs.worker.policy import policy_of
from celery_rs.worker.processors import usable_processors
from celery_rs.worker.worker import Worker

__all__ = [
    "Command",
    "CommandKind",
    "Parameter",
    "PoolName",
    "Worker",
    "WorkerOptions",
    "command",
    "control_command",
    "find_command",
    "inspect_command",
    "list_commands",
    "policy_of",
    "usable_processors",
]
