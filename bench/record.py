"""The file of a run: written whole after each round, so that a run that was cut off can go on from it."""

import os
from dataclasses import replace
from pathlib import Path

from bench.report import Report, Round, Section, from_json, to_json

_OTHER = ("processor", "memory", "system", "directory")
"""What has to be the same of two machines whose figures stand in one table."""


class RecordError(Exception):
    """The file cannot be gone on with; the message is for people."""


def save(path: Path, report: Report) -> None:
    """Write it beside its place and move it there: at any time the file holds a whole report."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(to_json(report) + "\n")
    beside.replace(path)


def load(path: Path) -> Report:
    """Raises RecordError for a file that is not there or holds something else."""
    try:
        return from_json(path.read_text())
    except (OSError, ValueError) as error:
        raise RecordError(f"{path}: {error}") from error


def gone_on(report: Report, before: Report) -> Report:
    """The new run with the rounds of the one before that it would ask again; failed ones are asked again.

    Raises RecordError when that was on another machine.
    """
    for what in _OTHER:
        if before.machine.get(what) != report.machine.get(what):
            theirs, here = before.machine.get(what), report.machine.get(what)
            raise RecordError(f"the file is of another machine ({what} {theirs!r}, here {here!r}): begin a new one")
    source = " and ".join(dict.fromkeys((before.machine["source"], report.machine["source"])))
    return replace(
        report,
        machine={**report.machine, "source": source},
        sections=tuple(replace(section, rounds=_known(section, before.sections)) for section in report.sections),
    )


def _known(section: Section, before: tuple[Section, ...]) -> tuple[Round, ...]:
    return tuple(
        each for other in before if _asked(other) == _asked(section) for each in other.rounds if each.failure is None
    )


def _asked(section: Section) -> tuple[object, ...]:
    return section.scenario, section.results, section.tasks, section.limit
