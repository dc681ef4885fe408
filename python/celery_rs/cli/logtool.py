"""`celery-rs logtool`: what a worker's log files say about tasks.

A line about a task is known by its words, `Task NAME[ID] received`, so that any log format will do. Lines that are
not of the beginning of an entry (a stack trace) belong to the one before.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import click

from celery_rs.cli.commands import CommandGroup
from celery_rs.cli.options import json_option
from celery_rs.cli.output import ExitCode, Failure, print_json, print_table

What = Literal["received", "succeeded", "failed", "expected", "retried", "ignored", "rejected", "revoked", "other"]

_ENTRY = re.compile(r"\[?\d{4}-\d\d-\d\d[ T]\d\d:\d\d")
_NAMED = r"(?P<name>\S+?)\[(?P<id>[^\]\s]+)\]"
_KINDS: tuple[tuple[What, re.Pattern[str]], ...] = (
    ("received", re.compile(rf"Task {_NAMED} received")),
    ("succeeded", re.compile(rf"Task {_NAMED} succeeded in (?P<seconds>[\d.e+-]+)s")),
    ("expected", re.compile(rf"Task {_NAMED} raised expected")),
    ("failed", re.compile(rf"Task {_NAMED}(?: raised unexpected| INTERNAL ERROR|: its process)")),
    ("failed", re.compile(rf"Hard time limit \([\d.]+s\) exceeded for {_NAMED}")),
    ("retried", re.compile(rf"Task {_NAMED} retry")),
    ("ignored", re.compile(rf"Task {_NAMED} ignored")),
    ("rejected", re.compile(rf"Task {_NAMED} reject")),
    ("revoked", re.compile(rf"Discarding revoked task: {_NAMED}")),
)
_ENDS = frozenset({"succeeded", "failed", "expected", "ignored", "rejected", "revoked"})
_TRACE = "Traceback (most recent call last)"


class Entry(NamedTuple):
    """One entry of a log: its lines, and what it says of which task."""

    lines: list[str]
    what: What
    name: str | None = None
    id: str | None = None
    seconds: float | None = None

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


@dataclass(slots=True)
class Audit:
    """What a log says in all. `open` are ids that were received and have not ended."""

    counts: Counter[str] = field(default_factory=Counter)
    by_task: dict[str, Counter[str]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    open: dict[str, None] = field(default_factory=dict)

    def add(self, entry: Entry) -> None:
        if entry.name is None or entry.id is None:
            return
        self.counts[entry.what] += 1
        self.by_task.setdefault(entry.name, Counter())[entry.what] += 1
        self.seconds[entry.name] = self.seconds.get(entry.name, 0.0) + (entry.seconds or 0.0)
        if entry.what == "received":
            self.open[entry.id] = None
        elif entry.what in _ENDS:
            self.open.pop(entry.id, None)


def entries(lines: Iterable[str]) -> Iterator[Entry]:
    """The entries of a log, in order."""
    gathered: list[str] = []
    for line in lines:
        text = click.unstyle(line.rstrip("\n"))
        if gathered and _ENTRY.match(text):
            yield _entry(gathered)
            gathered = []
        gathered.append(text)
    if gathered:
        yield _entry(gathered)


def _entry(lines: list[str]) -> Entry:
    for what, pattern in _KINDS:
        found = pattern.search(lines[0])
        if found is not None:
            seconds = found.groupdict().get("seconds")
            return Entry(lines, what, found["name"], found["id"], float(seconds) if seconds else None)
    return Entry(lines, "other")


def audit(all_entries: Iterable[Entry]) -> Audit:
    """Add everything up."""
    whole = Audit()
    for entry in all_entries:
        whole.add(entry)
    return whole


_files = click.argument("files", nargs=-1, type=click.Path(), metavar="[FILE]...")


@click.group(cls=CommandGroup)
def logtool() -> None:
    """Make sense of a worker's log files.

    The worker writes a line for each task at the level INFO. Without FILE the log is read from standard input; so
    it is for `-`.
    """


@logtool.command()
@_files
@json_option
def stats(files: tuple[str, ...], as_json: bool) -> None:
    """Count tasks by name and by how they ended."""
    whole = audit(_read(files))
    report = _report(whole)
    if as_json:
        print_json(report)
        return
    for label, count in report["total"].items():
        click.echo(f"{click.style(f'Tasks {label}:'.ljust(18), bold=True)} {count}")
    if whole.by_task:
        click.echo()
        rows = [
            (name, *("-" if count is None else count for count in counts.values()))
            for name, counts in report["tasks"].items()
        ]
        print_table(("Task", "Received", "Succeeded", "Failed", "Retried", "Mean seconds"), rows)


@logtool.command()
@_files
def errors(files: tuple[str, ...]) -> None:
    """Print the lines of tasks that failed."""
    _print(entry.lines[0] for entry in _read(files) if entry.what == "failed")


@logtool.command()
@_files
def traces(files: tuple[str, ...]) -> None:
    """Print every entry with a stack trace, whole."""
    _print(entry.text for entry in _read(files) if _TRACE in entry.text)


@logtool.command()
@_files
@json_option
def incomplete(files: tuple[str, ...], as_json: bool) -> None:
    """Print the ids of tasks that were received and did not end."""
    ids = list(audit(_read(files)).open)
    if as_json:
        print_json(ids)
    else:
        _print(f"Did not complete: {id}" for id in ids)


@logtool.command()
@_files
def debug(files: tuple[str, ...]) -> None:
    """Print the entries that are about no task."""
    _print(entry.text for entry in _read(files) if entry.what == "other")


def _report(whole: Audit) -> dict[str, Any]:
    failed = whole.counts["failed"] + whole.counts["expected"]
    return {
        "total": {
            "received": whole.counts["received"],
            "succeeded": whole.counts["succeeded"],
            "failed": failed,
            "retried": whole.counts["retried"],
            "incomplete": len(whole.open),
        },
        "tasks": {
            name: {
                "received": counts["received"],
                "succeeded": counts["succeeded"],
                "failed": counts["failed"] + counts["expected"],
                "retried": counts["retried"],
                "mean_seconds": round(whole.seconds[name] / counts["succeeded"], 6) if counts["succeeded"] else None,
            }
            for name, counts in sorted(whole.by_task.items())
        },
    }


def _print(texts: Iterable[str]) -> None:
    for text in texts:
        click.echo(text)


def _read(files: Sequence[str]) -> Iterator[Entry]:
    for file in files or ("-",):
        try:
            with click.open_file(file, encoding="utf-8", errors="replace") as log:
                yield from entries(log)
        except OSError as error:
            raise Failure(f"the log {file!r} cannot be read: {error.strerror}", ExitCode.USAGE) from None
