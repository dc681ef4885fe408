"""The files of a worker: their paths, what is wrong with them in one line, and the log of each of its processes."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import current_process

from celery_rs.app import Celery, Logging
from celery_rs.cli.daemon import Daemon
from celery_rs.cli.nodes import Node, is_per_process, path_for
from celery_rs.cli.output import ExitCode, Failure

_SHARED = 0o666

logger = logging.getLogger("celery.worker")


def path_of(node: Node, called: str, path: str) -> str:
    """The path with its abbreviations written out; `called` is the option or setting to name. Raises Failure."""
    try:
        return path_for(node, path)
    except ValueError as error:
        raise Failure(f"{called}: {error}", ExitCode.USAGE) from None


def checked(path: str, called: str) -> str:
    """The path, if a file can be kept there, which is opened later. Raises Failure."""
    folder = os.path.dirname(path) or "."
    if os.path.isdir(path):
        problem = "Is a directory"
    elif not os.path.isdir(folder):
        problem = "No such file or directory"
    elif not os.access(path if os.path.exists(path) else folder, os.R_OK | os.W_OK):
        problem = "Permission denied"
    else:
        return path
    raise Failure(f"{called} {path} cannot be written: {problem}", ExitCode.CANNOT_CREATE)


class WorkerLog:
    """Where the log of a worker goes: one file for all its processes, or (`%i`, `%I` in the path) one for each."""

    def __init__(self, app: Celery, node: Node, level: int, daemon: Daemon, *, colorize: bool | None) -> None:
        self._log: Logging = app.log
        self._conf = app.conf
        self._node = node
        self._level = level
        self._path = daemon.logfile
        self._called = daemon.called["logfile"]
        self._colorize = colorize
        self._is_ours = True
        if daemon.umask is not None:
            self._log.permissions = _SHARED

    def set_up(self) -> None:
        """Raises Failure when the file cannot be written."""
        path = None if self._path is None else path_of(self._node, self._called, self._path)
        try:
            self._is_ours = not self._log.setup(self._level, path, colorize=self._colorize)
        except OSError as error:
            raise Failure(
                f"{self._called} {path} cannot be written: {error.strerror}", ExitCode.CANNOT_CREATE
            ) from None

    @contextmanager
    def of_what_is_printed(self) -> Iterator[None]:
        """Inside the block, what is printed is logged, unless the settings or a receiver say otherwise."""
        streams = sys.stdout, sys.stderr
        if self._is_ours and self._conf["worker_redirect_stdouts"]:
            self._log.redirect_stdouts(self._conf["worker_redirect_stdouts_level"])
        try:
            yield
        finally:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            sys.stdout, sys.stderr = streams

    def in_child(self, index: int) -> None:
        """In a new process of the pool: be named after it, and log to its own file where each has one."""
        current_process().name = f"ForkPoolWorker-{index}"
        if self._path is None or not is_per_process(self._path):
            return
        self._log.already_setup = False
        path = path_for(self._node, self._path, index)
        try:
            self._log.setup(self._level, path, colorize=self._colorize)
        except OSError as error:
            logger.error("the log of this process cannot be written to %s: %s", path, error.strerror)
