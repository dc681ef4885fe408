"""What the commands print, and how they end.

Results go to stdout, for people unless `--json`; errors go to stderr as one line, `Error: ...`. A stack trace is
never the answer to a user's mistake.
"""

import json
from collections.abc import Mapping
from enum import IntEnum
from textwrap import indent
from typing import Any

import click

from celery_rs.errors import BackendError, CeleryError, ImproperlyConfigured, OperationalError, QueueNotFound
from celery_rs.wire import is_error


class ExitCode(IntEnum):
    """How `celery-rs` ends; the numbers are Celery's (those of sysexits.h)."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    UNAVAILABLE = 69
    """No worker replied, or the broker or result store cannot be reached."""
    CANNOT_CREATE = 73
    """The pid file belongs to a running worker."""


class Failure(click.ClickException):
    """An expected end other than success: one line for stderr and an exit code."""

    def __init__(self, message: str, code: ExitCode = ExitCode.FAILURE) -> None:
        super().__init__(message)
        self.code = code


def code_of(error: CeleryError) -> ExitCode:
    """The exit code for an error of ours that reached the command line."""
    if isinstance(error, OperationalError | BackendError):
        return ExitCode.UNAVAILABLE
    return ExitCode.USAGE if isinstance(error, ImproperlyConfigured | QueueNotFound) else ExitCode.FAILURE


def print_error(message: str) -> None:
    """One line on stderr, whatever the message holds."""
    line = " ".join(message.split())
    click.echo(f"{click.style('Error', fg='red')}: {line}", err=True)


def print_note(message: str) -> None:
    """A line on stderr that is no error."""
    click.echo(message, err=True)


def print_json(document: Any) -> None:
    """One document; values that JSON lacks as their repr."""
    click.echo(json.dumps(document, default=repr, ensure_ascii=False))


def print_reply(node: str, reply: Any) -> None:
    """One worker's reply: its name and OK or ERROR, then the message indented by four spaces."""
    failed = is_error(reply)
    verdict = click.style("ERROR", fg="red") if failed else click.style("OK", fg="green")
    click.echo(f"{click.style(node, bold=True)}: {verdict}")
    click.echo(indent(_body(reply), "    "))


def print_replies(replies: Mapping[str, Any], *, as_json: bool) -> None:
    """The replies of all workers, by name."""
    if as_json:
        print_json(dict(sorted(replies.items())))
        return
    for node, reply in sorted(replies.items()):
        print_reply(node, reply)


def count_of(count: int, noun: str) -> str:
    """`1 node`, `2 nodes`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _body(reply: Any) -> str:
    match reply:
        case {"ok": message} | {"error": message}:
            return _text(message)
        case list():
            return "\n".join(f"* {_text(item)}" for item in reply) or "- empty -"
        case dict():
            return json.dumps(reply, indent=4, sort_keys=True, default=repr, ensure_ascii=False)
    return _text(reply)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=repr, ensure_ascii=False)
