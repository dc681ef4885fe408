"""Operating-system locks: the gate between writers and checkpoints, a worker's lease, and who holds what.

All of them are `flock`s, which end with the process and know no clock. A lock belongs to the open file, so a
forked child that keeps the descriptor keeps the lock alive: it must close its copy (`forget`), never unlock.
"""

import fcntl
import os
from pathlib import Path

from celery_rs.transports.sqlite import files

_WAL_WRITE_LOCK = 120
"""SQLite's documented byte in the `-shm` file that a writer locks in WAL mode."""


class Gate:
    """`<db>.lock`: shared by writers for the length of a transaction, exclusive for a checkpoint.

    SQLite before 3.51.3 can corrupt a database when a checkpoint meets a writer that starts the log anew.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = files.open_beside(path, ".lock")

    def enter(self) -> bool:
        """Shared; False while somebody checkpoints."""
        return _locked(self._descriptor, fcntl.LOCK_SH)

    def shut(self) -> bool:
        """Exclusive; False while somebody writes."""
        return _locked(self._descriptor, fcntl.LOCK_EX)

    def leave(self) -> None:
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def forget(self) -> None:
        os.close(self._descriptor)


class Lease:
    """A consumer's life: the lock on `<db>.d/<name>`. Whoever else gets it may take over what the consumer held."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    @classmethod
    def take(cls, path: Path) -> "Lease":
        """For a name of our own. Who sweeps the directory may have had the file between our opening and locking it."""
        while True:
            descriptor = files.open_inside(path)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            lease = cls(path, descriptor)
            if lease.is_ours():
                return lease
            lease.forget()

    @classmethod
    def take_over(cls, path: Path) -> "Lease | None":
        """The lease of a dead consumer; None while it lives, or is not ours to judge. Raises FileNotFoundError."""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except PermissionError:
            return None
        if _locked(descriptor, fcntl.LOCK_EX):
            return cls(path, descriptor)
        os.close(descriptor)
        return None

    def is_ours(self) -> bool:
        """Whether the file is still the one that we locked: somebody may have cleared the directory."""
        try:
            return os.path.samestat(os.stat(self._path), os.fstat(self._descriptor))
        except OSError:
            return False

    def end(self) -> None:
        """Remove the file, then let go of the lock: in this order nobody can lock a file that is about to go."""
        if self.is_ours():
            self._path.unlink(missing_ok=True)
        self.forget()

    def forget(self) -> None:
        """Close it, once: the number may be another file's by the second time."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor != -1:
            os.close(descriptor)


def _locked(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def holder_of(path: Path) -> int | None:
    """The process that keeps others from writing to the database, as far as the kernel tells (Linux)."""
    try:
        with open("/proc/locks", encoding="ascii") as table:
            lines = table.read().splitlines()
    except OSError:
        return None
    writing, checkpointing, database = _inode(f"{path}-shm"), _inode(f"{path}.lock"), _inode(f"{path}")
    for line in lines:
        _, kind, _, mode, pid, where, start, end = line.replace("-> ", "").split()
        inode = int(where.rpartition(":")[2])
        if mode != "WRITE" or int(pid) <= 0:
            continue
        if kind == "POSIX" and inode == writing and int(start) <= _WAL_WRITE_LOCK and _reaches(end, _WAL_WRITE_LOCK):
            return int(pid)
        # A tool that has the whole file to itself, or a checkpoint.
        if (kind == "POSIX" and inode == database) or (kind == "FLOCK" and inode == checkpointing):
            return int(pid)
    return None


def _reaches(end: str, byte: int) -> bool:
    return end == "EOF" or int(end) >= byte


def _inode(name: str) -> int | None:
    try:
        return os.stat(name).st_ino
    except OSError:
        return None
