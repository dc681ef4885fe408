"""What SQLite's errors mean to the people who run the file, one line each."""

import sqlite3
from pathlib import Path

from celery_rs.errors import ImproperlyConfigured, OperationalError

_CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_UNUSABLE = _CORRUPT | {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_MISUSE}

_MEANINGS = {
    sqlite3.SQLITE_READONLY: "cannot be written; let this user write the file and its directory, or name another file",
    sqlite3.SQLITE_PERM: "cannot be used by this user; let it read and write the file, or name another file",
    sqlite3.SQLITE_CORRUPT: "is corrupt; restore a backup, or move it away (with its -wal) to start an empty one",
    sqlite3.SQLITE_NOTADB: "is not a SQLite database; name another file, or move this one away",
    sqlite3.SQLITE_FULL: "cannot grow, the disk is full; make room, then go on",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened; let this user read and write the file and its directory",
    sqlite3.SQLITE_IOERR: "cannot be read or written; look at the disk",
}


def code_of(error: sqlite3.Error) -> int:
    """SQLite's primary result code; 0 when the module itself complains."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def is_busy(error: sqlite3.Error) -> bool:
    return code_of(error) in _BUSY


def spoils_connection(error: sqlite3.Error) -> bool:
    """Whether the connection had better be opened anew."""
    return code_of(error) in _UNUSABLE or isinstance(error, sqlite3.ProgrammingError)


def explain(error: sqlite3.Error, path: Path) -> OperationalError | ImproperlyConfigured:
    code = code_of(error)
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    meaning = _MEANINGS.get(code, "refused a statement; it may have been changed by another program")
    kind = ImproperlyConfigured if code == sqlite3.SQLITE_NOTADB else OperationalError
    return kind(f"database {str(path)!r} {meaning} ({name}: {error})")


def locked(path: Path, seconds: float, pid: int | None, ours: bool) -> OperationalError:
    """The deadline for the write lock has passed."""
    who = "a process that is not known here" if pid is None else f"process {pid}"
    if ours:
        who = f"another thread of this process ({pid})"
    return OperationalError(
        f"database {str(path)!r} is locked: expected the write lock within {seconds:g} s, {who} holds it; "
        "let it go on, or stop it"
    )
