"""What the commands print, and how they end.

Results go to stdout, for people unless `--json`; errors go to stderr as one line, `Error: ...`. A stack trace is
never the answer to a user's mistake.
"""

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from typing import Any

import click

from celery_rs.config import mask_urls
from celery_rs.errors import (
    BackendError,
    CeleryError,
    ImproperlyConfigured,
    OperationalError,
    QueueNotFound,
    StateFileError,
    Unroutable,
)


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
    if isinstance(error, Unroutable):
        return ExitCode.USAGE
    if isinstance(error, OperationalError | BackendError):
        return ExitCode.UNAVAILABLE
    if isinstance(error, StateFileError):
        return ExitCode.CANNOT_CREATE
    return ExitCode.USAGE if isinstance(error, ImproperlyConfigured | QueueNotFound) else ExitCode.FAILURE


def print_error(message: str) -> None:
    """One line on stderr, whatever the message holds."""
    line = mask_urls(" ".join(message.split()))
    plain = False if os.environ.get("NO_COLOR") else None
    click.echo(f"{click.style('Error', fg='red')}: {line}", err=True, color=plain)


def print_note(message: str) -> None:
    """A line on stderr that is no error."""
    click.echo(mask_urls(message), err=True)


def print_json(document: Any) -> None:
    """One document; values that JSON lacks as their repr."""
    click.echo(json.dumps(document, default=repr, ensure_ascii=False))


def print_table(header: Sequence[str], rows: Iterable[Sequence[object]], *, width: int = 0) -> None:
    """Columns under their names, each as wide as its widest cell and no narrower than `width`."""
    lines = [list(header), *([str(cell) for cell in row] for row in rows)]
    widths = [max(width, *(len(line[i]) + 2 for line in lines)) for i in range(len(header))]
    for number, line in enumerate(lines):
        text = "".join(f"{cell:<{widths[i]}}" for i, cell in enumerate(line)).rstrip()
        click.echo(click.style(text, bold=True) if number == 0 else text)


def on_terminal(*, quiet: bool = False) -> bool:
    """Whether somebody watches stderr, and did not ask for quiet."""
    return sys.stderr.isatty() and not quiet


@contextmanager
def progress(label: str, total: int, *, quiet: bool = False) -> Iterator[Callable[[int], None]]:
    """A bar on the terminal while the block runs; what it yields moves it on by so many. No terminal, no bar."""
    if not on_terminal(quiet=quiet):
        yield lambda done: None
        return
    with click.progressbar(length=total, label=label, file=sys.stderr) as bar:
        yield bar.update


def count_of(count: int, noun: str) -> str:
    """`1 node`, `2 nodes`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
