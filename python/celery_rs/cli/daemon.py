"""What a process that runs for long is told about its place on the machine: files, user, umask, interpreter.

An option that was not given falls back to the setting of the same name (`worker_logfile`, ...). The user is changed
before any of the project's code is imported, unless it is a setting that names the user.
"""

import grp
import os
import pwd
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from celery_rs.cli.groups import grouped
from celery_rs.cli.output import ExitCode, Failure

GROUP = "Daemon"
_LARGEST = 2**32 - 1
_NAMES = ("logfile", "pidfile", "uid", "gid", "umask", "executable")


class Daemon(NamedTuple):
    """Values as they were given, on the command line or as settings; `called`: how each is to be named in errors."""

    logfile: str | None
    pidfile: str | None
    uid: str | int | None
    gid: str | int | None
    umask: str | int | None
    executable: str | None
    called: Mapping[str, str]


def daemon_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options of a command that can be a daemon."""
    for decorate in (
        _option("--executable", metavar="PATH", help="Run it by this Python instead."),
        _option("--umask", metavar="OCTAL", help="Permissions to take from new files, such as 027."),
        _option("--gid", metavar="GROUP", help="Become this group first; a name or a number."),
        _option("--uid", metavar="USER", help="Become this user first; a name or a number. Needs root."),
        _option("--pidfile", metavar="PATH", help="Keep the process id there; refuse to start if it is held."),
        _option(
            "-f",
            "--logfile",
            metavar="PATH",
            help="Log there instead of to stderr. In all paths: %n name, %h host, %d domain, %p name@host; "
            "%i the process (0 is the main one), %I the same as -1, -2, ... and nothing for the main one.",
        ),
    ):
        function = decorate(function)
    return function


def daemon_of(given: Mapping[str, Any], conf: Mapping[str, Any] | None = None, command: str = "worker") -> Daemon:
    """The daemon that options and, once they can be read, settings ask for."""
    values: dict[str, Any] = {}
    called: dict[str, str] = {}
    for name in _NAMES:
        is_setting = given[name] is None and conf is not None
        values[name] = conf[f"{command}_{name}"] if is_setting and conf is not None else given[name]
        called[name] = f"{command}_{name}" if is_setting else f"--{name}"
    return Daemon(**values, called=called)


def take_place(daemon: Daemon) -> None:
    """Take on umask, group and user. Raises Failure in one line."""
    if daemon.umask is not None:
        os.umask(_umask(daemon.umask, daemon.called["umask"]))
    if daemon.uid is not None or daemon.gid is not None:
        _become(daemon)


def execute(path: str, called: str, arguments: Sequence[str]) -> None:
    """Put another Python in this process's place, running our command line. Raises Failure when it cannot be run."""
    try:
        os.execv(path, [path, "-m", "celery_rs", *arguments])
    except OSError as error:
        raise Failure(f"{called}: {path} cannot be run: {error.strerror}", ExitCode.USAGE) from None


def _option(*names: str, **settings: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return grouped(GROUP)(*names, **settings)


def _umask(value: str | int, called: str) -> int:
    try:
        mask = value if isinstance(value, int) else int(value, 8)
    except (ValueError, TypeError):
        mask = -1
    if not 0 <= mask <= 0o777:
        raise Failure(f"{called}: expected an octal number such as 027, got {value!r}", ExitCode.USAGE)
    return mask


def _become(daemon: Daemon) -> None:
    """Change group and user for good: with them go all the groups of whoever started this."""
    user = None if daemon.uid is None else _user(daemon.uid, daemon.called["uid"])
    group = _group(daemon.gid, daemon.called["gid"]) if daemon.gid is not None else user.gid if user else os.getegid()
    if (user is None or user.uid == os.geteuid()) and group == os.getegid():
        return
    if os.geteuid() != 0:
        is_user = user is not None and user.uid != os.geteuid()
        called, wanted = daemon.called["uid" if is_user else "gid"], daemon.uid if is_user else daemon.gid
        raise Failure(
            f"{called} {wanted} needs root, and this is user {os.geteuid()}; start it as root, or as that user",
            ExitCode.USAGE,
        )
    if user is not None and user.name is not None:
        os.initgroups(user.name, group)
    else:
        os.setgroups([group])
    os.setgid(group)
    if user is not None:
        os.setuid(user.uid)


class _User(NamedTuple):
    uid: int
    gid: int
    name: str | None


def _user(given: str | int, called: str) -> _User:
    number = _number(given)
    try:
        known = pwd.getpwnam(str(given)) if number is None else pwd.getpwuid(number)
    except (KeyError, ValueError):
        if number is not None:
            return _User(number, number, None)  # a number is a user even where no name belongs to it
        raise Failure(f"{called}: there is no user {given!r}; see `getent passwd`", ExitCode.USAGE) from None
    return _User(known.pw_uid, known.pw_gid, known.pw_name)


def _group(given: str | int, called: str) -> int:
    number = _number(given)
    try:
        return grp.getgrnam(str(given)).gr_gid if number is None else number
    except (KeyError, ValueError):
        raise Failure(f"{called}: there is no group {given!r}; see `getent group`", ExitCode.USAGE) from None


def _number(given: str | int) -> int | None:
    """The id that is given as a number; the largest one means *leave it*, and is none."""
    text = str(given)
    return int(text) if text.isdecimal() and int(text) < _LARGEST else None
