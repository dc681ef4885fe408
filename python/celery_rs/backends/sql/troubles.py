"""What goes wrong with a database, in one line each; and what may be tried again. Pure."""

from typing import Any

from celery_rs.backends.sql.alchemy import exc
from celery_rs.config import MASK
from celery_rs.errors import BackendError

_LONGEST = 300
_CONFLICTS = frozenset({"40001", "40P01", "55P03"})
"""PostgreSQL: cannot serialize, deadlock, a lock that is not to be had."""
_MYSQL_CONFLICTS = frozenset({1020, 1205, 1213})
"""MySQL: a row that changed since it was read, a lock waited for too long, deadlock."""
_MYSQL_REFUSES = frozenset({1118, 1153, 1264, 1366, 1406})
"""MySQL: a row, packet or value that is too long, or not of the column's kind."""


class Unreachable(BackendError):
    """The database does not answer: it may do so later."""


class RefusedValue(BackendError):
    """The database will never take this row."""


def reason(error: BaseException, password: str | None = None) -> str:
    """What the database or its driver says, in one line and without the password."""
    cause: Any = getattr(error, "orig", None) or error
    args: tuple[Any, ...] = getattr(cause, "args", ())
    said = args[1] if len(args) == 2 and isinstance(args[0], int) else cause  # as MySQL's drivers have it
    line = " ".join(str(said).split()) or type(cause).__name__
    if password:
        line = line.replace(password, MASK)
    return line if len(line) <= _LONGEST else line[: _LONGEST - 3] + "..."


def is_conflict(error: exc.DBAPIError) -> bool:
    """Whether others were in the way, so that the same transaction may well succeed now."""
    cause: Any = error.orig
    if _sqlstate(cause) in _CONFLICTS or _number(cause) in _MYSQL_CONFLICTS:
        return True
    return getattr(cause, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))


def is_refusal(error: BaseException) -> bool:
    """Whether it is about what was to be written, and no other try will help."""
    if isinstance(error, exc.DataError | ValueError | OverflowError):
        return True
    cause: Any = getattr(error, "orig", None)
    return _number(cause) in _MYSQL_REFUSES or (_sqlstate(cause) or "").startswith(("22", "54"))


def is_lost(error: exc.DBAPIError) -> bool:
    """Whether the connection has ended."""
    return bool(error.connection_invalidated)


def _sqlstate(cause: Any) -> str | None:
    return getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)


def _number(cause: Any) -> int | None:
    args = getattr(cause, "args", ())
    return args[0] if args and isinstance(args[0], int) else None
