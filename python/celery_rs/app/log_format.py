"""What a line of the log looks like: Celery's formats, and a colour for each level.

A line of a task (of a logger below `celery.task`) also names the task that writes it: `%(task_name)s` and
`%(task_id)s`, which are `???` where no task runs.
"""

import logging
from typing import Any

from celery_rs.context import current_request
from celery_rs.errors import ImproperlyConfigured

_CODES = {
    "black": 30,
    "red": 31,
    "green": 32,
    "yellow": 33,
    "blue": 34,
    "magenta": 35,
    "cyan": 36,
    "white": 37,
    "bold": 1,
    "underline": 4,
}
_COLORS = {
    logging.DEBUG: "blue",
    logging.WARNING: "yellow",
    logging.ERROR: "red",
    logging.CRITICAL: "magenta",
}
_NO_TASK = "???"


class Colored:
    """`Colored().red("text")`: text in a colour of the terminal, or as it is when not `enabled`."""

    def __init__(self, *, enabled: bool = True) -> None:
        self.enabled = enabled

    def paint(self, color: str, *texts: object) -> str:
        """The texts, joined, in one of the colours (or bold, or underlined)."""
        text = "".join(map(str, texts))
        return f"\x1b[{_CODES[color]}m{text}\x1b[0m" if self.enabled else text

    def __getattr__(self, name: str) -> Any:
        if name not in _CODES:
            raise AttributeError(f"expected one of {', '.join(_CODES)}, got {name!r}")
        return lambda *texts: self.paint(name, *texts)


class ColorFormatter(logging.Formatter):
    """Puts each line in the colour of its level."""

    def __init__(self, fmt: str | None = None, use_color: bool = True, datefmt: str | None = None) -> None:
        super().__init__(fmt, datefmt)
        self.use_color = use_color

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        color = _COLORS.get(record.levelno)
        return Colored().paint(color, line) if self.use_color and color else line


class TaskFormatter(ColorFormatter):
    """Knows `task_name` and `task_id` of the task that runs here."""

    def format(self, record: logging.LogRecord) -> str:
        request = current_request()
        record.task_name = getattr(request, "task", _NO_TASK)
        record.task_id = getattr(request, "id", _NO_TASK)
        return super().format(record)


def made(kind: type[ColorFormatter], setting: str, format: str, datefmt: str | None, color: bool) -> logging.Formatter:
    """A formatter of this kind, tried out: one that fails would print a stack trace for every line at work.

    Raises ImproperlyConfigured, which names the setting.
    """
    try:
        formatter = kind(format, use_color=color, datefmt=datefmt)
        formatter.format(logging.makeLogRecord({}))
    except (ValueError, KeyError, TypeError) as error:
        raise ImproperlyConfigured(
            f"{setting} must be a format such as '%(asctime)s %(message)s', got {format!r} ({error})"
        ) from None
    return formatter
