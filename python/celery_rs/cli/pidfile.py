"""A pid file: held while its process lives, taken over when that has died."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from celery_rs.cli.output import ExitCode, Failure, print_note


@contextmanager
def holding(path: Path, called: str = "--pidfile") -> Iterator[None]:
    """Write our pid there, and remove the file at the end. Raises Failure (73) when another live process holds it.

    `called` is the option or setting to name.
    """
    _create(path, called)
    try:
        yield
    finally:
        if owner(path) == os.getpid():
            with suppress(FileNotFoundError):
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
    raise Failure(f"{called} {path} was taken by another process this moment", ExitCode.CANNOT_CREATE)


def _remove_stale(path: Path, called: str) -> None:
    """Remove the file of a dead process; one of a live process is an error."""
    holder = owner(path)
    if holder is not None and holder != os.getpid() and is_alive(holder):
        raise Failure(
            f"Pidfile ({path}) already exists. Seems we're already running? (pid: {holder}); "
            "stop that worker or choose another file",
            ExitCode.CANNOT_CREATE,
        )
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise Failure(f"{called} {path} cannot be removed: {error.strerror}", ExitCode.CANNOT_CREATE) from None
    print_note(f"Removed the stale pid file {path}{f' of process {holder}' if holder else ''}.")


def owner(path: Path) -> int | None:
    """The pid in the file; None when it is not there or holds no pid."""
    try:
        return int(path.read_text().strip())
    except (OSError, ValueError):
        return None


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
