"""Remote commands of one's own: `from celery_rs.worker.control import control_command, inspect_command`."""

from celery_rs.worker.commands import WorkerState, control_command, inspect_command

__all__ = ["WorkerState", "control_command", "inspect_command"]
