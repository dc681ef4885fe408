"""A pid file: held while its process lives, taken over when that has died.

What is in the way and is no pid file is left alone: a path that was mistyped may be anybody's file.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from celery_rs.cli.output import ExitCode, Failure, print_note

_WRITTEN_WITHIN_S = 5.0
"""An empty file this young is being written by the process that has just created it."""


@contextmanager
def holding(path: Path, called: str = "--pidfile") -> Iterator[None]:
    """Write our pid there, and remove the file at the end. Raises Failure (73) when another live process holds it.

    `called` is the option or setting to name.
    """
    _create(path, called)
    try:
        yield
    finally:
        with suppress(OSError, Failure):
            if _pid_in(path, called) == os.getpid():
                path.unlink()


def _create(path: Path, called: str) -> None:
    for _ in range(2):
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        except FileExistsError:
            _remove_stale(path, called)
        except OSError as error:
            raise Failure(f"{called} {path} cannot be written: {error.strerror}", ExitCode.CANNOT_CREATE) from None
        else:
            with os.fdopen(descriptor, "w") as file:
                file.write(f"{os.getpid()}\n")
            return
    raise _taken(path, called)


def _remove_stale(path: Path, called: str) -> None:
    """Remove the file of a dead process; one of a live process is an error."""
    holder = _pid_in(path, called)
    if holder is not None and holder != os.getpid() and is_alive(holder):
        raise Failure(
            f"Pidfile ({path}) already exists. Seems we're already running? (pid: {holder}); "
            "stop that worker or choose another file",
            ExitCode.CANNOT_CREATE,
        )
    _remove(path, called)
    print_note(f"Removed the stale pid file {path}{f' of process {holder}' if holder else ''}.")


def live_owner(path: Path, called: str = "--pidfile") -> int | None:
    """The process that holds the file, if it lives; the file of one that has died is removed.

    Raises Failure (73) for a file that is no pid file, or that cannot be read or removed.
    """
    holder = _pid_in(path, called)
    if holder is not None and is_alive(holder):
        return holder
    _remove(path, called)
    return None


def _pid_in(path: Path, called: str) -> int | None:
    """The pid in the file; None when there is no file, or an empty one that nobody is writing."""
    try:
        text = path.read_text(errors="replace").strip()
        age = time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Failure(f"{called} {path} cannot be read: {error.strerror}", ExitCode.CANNOT_CREATE) from None
    if not text:
        if 0 <= age < _WRITTEN_WITHIN_S:
            raise _taken(path, called)
        return None
    try:
        return int(text)
    except ValueError:
        raise Failure(
            f"{called} {path} is a file that holds no process id; choose another, or remove it if nobody needs it",
            ExitCode.CANNOT_CREATE,
        ) from None


def _remove(path: Path, called: str) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise Failure(f"{called} {path} cannot be removed: {error.strerror}", ExitCode.CANNOT_CREATE) from None


def _taken(path: Path, called: str) -> Failure:
    return Failure(f"{called} {path} was taken by another process this moment", ExitCode.CANNOT_CREATE)


def is_alive(pid: int) -> bool:
    """Whether there is such a process, be it another user's."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return pid < 1 << 31
