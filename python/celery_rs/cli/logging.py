"""Where a worker's log goes and what its lines look like; set up once, before the pool is forked.

The worker and its children only ever write to loggers. Lines of tasks (loggers below `celery.task`) also name the
task that writes them.
"""

import logging
import sys
from logging.handlers import WatchedFileHandler
from typing import Any

from celery_rs.context import current_request
from celery_rs.errors import ImproperlyConfigured

_TASK_LOGGER = "celery.task"
_COLOURS = {logging.DEBUG: 34, logging.WARNING: 33, logging.ERROR: 31, logging.CRITICAL: 35}


class LineFormatter(logging.Formatter):
    """A line in the colour of its level, and the task that writes it as `task_name` and `task_id`."""

    def __init__(self, format: str, *, colored: bool) -> None:
        super().__init__(format)
        self._colored = colored

    def format(self, record: logging.LogRecord) -> str:
        request = current_request()
        record.task_name = getattr(request, "task", "???")
        record.task_id = getattr(request, "id", "???")
        line = super().format(record)
        colour = _COLOURS.get(record.levelno)
        return f"\x1b[{colour}m{line}\x1b[0m" if self._colored and colour else line


def set_up_logging(conf: Any, level: int, logfile: str | None, *, no_color: bool) -> None:
    """Send the log to stderr or to `logfile` (reopened when it is rotated).

    Raises OSError for the file, ImproperlyConfigured for a format.
    """
    colored = not no_color and logfile is None and conf["worker_log_color"] is not False and sys.stderr.isatty()
    everything = _handler(logfile, _formatter(conf, "worker_log_format", colored=colored))
    of_tasks = _handler(logfile, _formatter(conf, "worker_task_log_format", colored=colored))
    root = logging.getLogger()
    if conf["worker_hijack_root_logger"]:
        for handler in list(root.handlers):
            root.removeHandler(handler)
    root.setLevel(level)
    root.addHandler(everything)
    tasks = logging.getLogger(_TASK_LOGGER)
    tasks.handlers[:] = [of_tasks]
    tasks.propagate = False
    logging.captureWarnings(True)


def _formatter(conf: Any, setting: str, *, colored: bool) -> LineFormatter:
    """Tried out once: at work a format that fails would print a stack trace for every line."""
    try:
        formatter = LineFormatter(conf[setting], colored=colored)
        formatter.format(logging.makeLogRecord({}))
    except (ValueError, KeyError, TypeError) as error:
        raise ImproperlyConfigured(
            f"{setting} must be a format such as '%(asctime)s %(message)s', got {conf[setting]!r} ({error})"
        ) from None
    return formatter


def _handler(logfile: str | None, formatter: logging.Formatter) -> logging.Handler:
    handler = logging.StreamHandler() if logfile is None else WatchedFileHandler(logfile, encoding="utf-8")
    handler.setFormatter(formatter)
    return handler
