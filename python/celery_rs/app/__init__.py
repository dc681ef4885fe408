"""The application and its tasks: what user code holds."""

from celery_rs.app.app import Celery
from celery_rs.app.bugreport import Report, as_text, report_of
from celery_rs.app.classes import resolve
from celery_rs.app.current import app_or_default, bugreport, current_app, current_task
from celery_rs.app.loaders import DefaultLoader, Loader
from celery_rs.app.log_format import ColorFormatter, TaskFormatter
from celery_rs.app.logging import Logging, get_task_logger, level_of
from celery_rs.app.shared import shared_task
from celery_rs.app.task import Task
from celery_rs.errors import DuplicateTaskNameWarning

__all__ = [
    "Celery",
    "DuplicateTaskNameWarning",
    "Task",
    "current_app",
    "current_task",
    "app_or_default",
    "bugreport",
    "shared_task",
    "DefaultLoader",
    "Loader",
    "ColorFormatter",
    "Logging",
    "TaskFormatter",
    "get_task_logger",
    "level_of",
    "Report",
    "as_text",
    "report_of",
    "resolve",
]
