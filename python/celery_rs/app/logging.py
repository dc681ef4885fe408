"""`app.log`: where a worker's log goes, set up once per process, before the pool is forked.

The worker and its children only ever write to loggers; the children inherit what is set up here, and set it up again
only where each has a file of its own. A receiver of the signal `setup_logging` takes the place of all of this.
"""

import logging
import os
import sys
from collections.abc import Callable
from typing import Any, TextIO, cast

from celery_rs import signals
from celery_rs.app.log_files import PRIVATE, LogFile
from celery_rs.app.log_format import Colored, ColorFormatter, TaskFormatter, made
from celery_rs.app.log_streams import LoggingProxy
from celery_rs.context import AppLike
from celery_rs.errors import ImproperlyConfigured

TASK_LOGGER = "celery.task"
REDIRECTED = "celery.redirected"
_OURS = ("celery", TASK_LOGGER, REDIRECTED)
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", "FATAL")

Receivers = list[tuple[Callable[..., Any], Any]]


def get_task_logger(name: str) -> logging.Logger:
    """The logger of a module with tasks: its lines name the task that writes them. Call it with `__name__`.

    Raises RuntimeError for `celery` and `celery.task`, which are Celery's own.
    """
    if name in ("celery", TASK_LOGGER):
        raise RuntimeError(
            f"expected a name of your own for a task logger, got {name!r}; write get_task_logger(__name__)"
        )
    logger = logging.getLogger(name)
    if not _is_below(logger, TASK_LOGGER):
        logger.parent = logging.getLogger(TASK_LOGGER)
    return logger


def level_of(level: int | str | None, default: int = logging.WARNING) -> int:
    """A level's number; a name may be in any case. Raises ImproperlyConfigured for one that is none."""
    if not level:
        return default
    if isinstance(level, int):
        return level
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ImproperlyConfigured(f"expected a log level ({', '.join(_LEVELS)}), got {level!r}")
    return number


class Logging:
    """The log of one app. `already_setup` is the process's: whoever comes second changes nothing."""

    _done = False
    _added: list[tuple[logging.Logger, logging.Handler]] = []  # noqa: RUF012  (the process's, as the loggers are)

    def __init__(self, app: AppLike) -> None:
        self.app = app
        self.permissions = PRIVATE
        """Of a log file that is made here; a umask applies."""

    @property
    def already_setup(self) -> bool:
        return Logging._done

    @already_setup.setter
    def already_setup(self, done: bool) -> None:
        Logging._done = done

    def setup(
        self,
        loglevel: int | str | None = None,
        logfile: str | None = None,
        redirect_stdouts: bool = False,
        redirect_level: int | str = "WARNING",
        colorize: bool | None = None,
    ) -> Receivers | None:
        """Set up everything, and tell processes that are started from here by CELERY_LOG_LEVEL and its like.

        Returns what receivers of `setup_logging` answered: none of ours is set up where there are any; None where the
        log is set up already. Raises OSError for the file, ImproperlyConfigured for a format or a level.
        """
        level = level_of(loglevel)
        handled = self.setup_logging_subsystem(level, logfile, colorize=colorize)
        if redirect_stdouts and not handled:
            self.redirect_stdouts(redirect_level)
        os.environ.update(CELERY_LOG_LEVEL=str(level), CELERY_LOG_FILE=logfile or "")
        return handled

    def setup_logging_subsystem(
        self,
        loglevel: int | str | None = None,
        logfile: str | None = None,
        format: str | None = None,
        colorize: bool | None = None,
    ) -> Receivers | None:
        """Send the log to stderr or to a file; see `setup`."""
        if self.already_setup:
            return None
        conf, level = self.app.conf, level_of(loglevel)
        shape, color = format or conf["worker_log_format"], self.supports_color(colorize, logfile)
        told = {"loglevel": level, "logfile": logfile, "format": shape, "colorize": color}
        if signals.setup_logging.receivers:
            handled = signals.setup_logging.send(None, **told)
            if handled:
                self.already_setup = True
                return handled
        everything = self._handler(logfile, ColorFormatter, "worker_log", shape, color)
        of_tasks = self._handler(logfile, TaskFormatter, "worker_task_log", conf["worker_task_log_format"], color)
        self._clear()
        self.already_setup = True
        root = logging.getLogger()
        self._add(root, everything)
        root.setLevel(level)
        logging.captureWarnings(True)
        if signals.after_setup_logger.receivers:
            signals.after_setup_logger.send(None, logger=root, **told)
        self._finish_task_logger(of_tasks, told | {"format": conf["worker_task_log_format"]})
        return []

    def setup_task_loggers(
        self,
        loglevel: int | str | None = None,
        logfile: str | None = None,
        format: str | None = None,
        colorize: bool | None = None,
        propagate: bool = False,
    ) -> logging.Logger:
        """Give the task loggers their own handler; returns `celery.task`. Raises as `setup` does."""
        shape = format or self.app.conf["worker_task_log_format"]
        color = self.supports_color(colorize, logfile)
        handler = self._handler(logfile, TaskFormatter, "worker_task_log", shape, color)
        told = {"loglevel": level_of(loglevel), "logfile": logfile, "format": shape, "colorize": color}
        return self._finish_task_logger(handler, told, propagate=propagate)

    def redirect_stdouts(self, loglevel: int | str | None = None, name: str = REDIRECTED) -> None:
        """Log what is printed from now on, here and in processes that are forked from here."""
        self.redirect_stdouts_to_logger(logging.getLogger(name), loglevel)
        os.environ.update(CELERY_LOG_REDIRECT="1", CELERY_LOG_REDIRECT_LEVEL=str(loglevel or ""))

    def redirect_stdouts_to_logger(
        self, logger: logging.Logger, loglevel: int | str | None = None, stdout: bool = True, stderr: bool = True
    ) -> LoggingProxy:
        """Put a proxy in the place of sys.stdout and sys.stderr; returns that of the last one named."""
        level = level_of(loglevel)
        proxy = LoggingProxy(logger, level)
        if stdout:
            proxy = LoggingProxy(logger, level, sys.__stdout__)
            sys.stdout = cast(TextIO, proxy)  # it has all that code asks of a stream
        if stderr:
            proxy = LoggingProxy(logger, level, sys.__stderr__)
            sys.stderr = cast(TextIO, proxy)
        return proxy

    def supports_color(self, colorize: bool | None = None, logfile: str | None = None) -> bool:
        """Whether lines are coloured: on a terminal, unless the setting, NO_COLOR or the caller says no."""
        wanted = self.app.conf["worker_log_color"] if colorize is None else colorize
        if wanted is False or (wanted is None and os.environ.get("NO_COLOR")):
            return False
        return logfile is None and sys.stderr is not None and sys.stderr.isatty()

    def colored(self, logfile: str | None = None, enabled: bool | None = None) -> Colored:
        """Text in colours where the log is coloured: `app.log.colored().red("no")`."""
        return Colored(enabled=self.supports_color(enabled, logfile))

    def get_default_logger(self, name: str = "celery") -> logging.Logger:
        return logging.getLogger(name)

    def _handler(
        self, logfile: str | None, kind: type[ColorFormatter], setting: str, format: str, color: bool
    ) -> logging.Handler:
        formatter = made(kind, f"{setting}_format", format, self.app.conf[f"{setting}_datefmt"], color)
        handler = logging.StreamHandler() if logfile is None else LogFile(logfile, permissions=self.permissions)
        handler.setFormatter(formatter)
        return handler

    def _clear(self) -> None:
        """Take away what was set up here before and, if the project wants it so, what others have set up."""
        for logger, handler in Logging._added:
            logger.removeHandler(handler)
            handler.close()
        Logging._added.clear()
        if self.app.conf["worker_hijack_root_logger"]:
            for name in (None, *_OURS):
                logging.getLogger(name).handlers.clear()

    def _add(self, logger: logging.Logger, handler: logging.Handler) -> None:
        """Add ours, unless the logger has handlers of the project's that were to stay."""
        if any(not isinstance(known, logging.NullHandler) for known in logger.handlers):
            handler.close()
            return
        logger.addHandler(handler)
        Logging._added.append((logger, handler))

    def _finish_task_logger(
        self, handler: logging.Handler, told: dict[str, Any], *, propagate: bool = False
    ) -> logging.Logger:
        logger = logging.getLogger(TASK_LOGGER)
        self._add(logger, handler)
        logger.setLevel(told["loglevel"])
        logger.propagate = propagate
        if signals.after_setup_task_logger.receivers:
            signals.after_setup_task_logger.send(None, logger=logger, **told)
        return logger


def _is_below(logger: logging.Logger, name: str) -> bool:
    above: logging.Logger | None = logger
    while above is not None:
        if above.name == name:
            return True
        above = above.parent
    return False
