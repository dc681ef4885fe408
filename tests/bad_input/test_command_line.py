"""Every mistake at every entry point of the command line: one line, the documented exit code, no stack trace.

The matrix is generated: rows (cli_rows) × entry points (entries), less the cells that do not concern each other.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import Result

from celery_rs.cli import commands
from tests.bad_input.cli_rows import GOOD, ROWS, Row
from tests.bad_input.entries import ENTRIES, Entry
from tests.cli.conftest import Run, Write, error_of
from tests.deadlines import DEADLINE_S

CELLS = [
    (row, entry)
    for row in ROWS
    for entry in ENTRIES
    if row.concerns in entry.traits and entry.name in commands.COMMANDS
]


ROOT = "Warning: running as root"
"""What a worker says first where the tests run as root."""


@pytest.fixture(autouse=True)
def good_project(project: Path, write: Write) -> None:
    write({"proj.py": GOOD, "held.pid": f"{os.getppid()}\n"})
    (project / "folder").mkdir()


def without_warnings(result: Result) -> Result:
    """The tests may run as root, of which the worker warns."""
    result.stderr_bytes = b"".join(
        line for line in (result.stderr_bytes or b"").splitlines(True) if not line.startswith(ROOT.encode())
    )
    return result


@pytest.mark.parametrize(("row", "entry"), CELLS, ids=[f"{row.name} @ {entry.name}" for row, entry in CELLS])
def test_a_mistake_is_one_line_with_its_exit_code(run: Run, write: Write, row: Row, entry: Entry) -> None:
    write(row.files)
    os.environ.update(row.variables)

    said = error_of(without_warnings(run(*row.before, *entry.words, *row.after, input="")), row.code)

    assert [word for word in row.says if word not in said] == [], said
    assert "Traceback" not in said
    assert "hunter2" not in said
    assert not said.endswith("."), said


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_every_entry_point_is_right_on_its_own(run: Run, entry: Entry) -> None:
    """Or a cell would show another mistake than its own."""
    if entry.name in ("worker", "result", *commands.REFUSED) or entry.name not in commands.COMMANDS:
        return
    result = run("-A", "proj", *entry.words, input="")

    assert result.exit_code == (69 if "asks" in entry.traits else 0), result.output


REAL = [
    (row, entry)
    for row, entry in CELLS
    if entry.name in ("worker", "status") and row.name.endswith(("syntax error", "held", "no database", "misplaced"))
]


@pytest.mark.parametrize(("row", "entry"), REAL, ids=[f"{row.name} @ {entry.name}" for row, entry in REAL])
def test_a_process_of_its_own_says_the_same(project: Path, write: Write, row: Row, entry: Entry) -> None:
    write(row.files)

    ended = subprocess.run(
        [sys.executable, "-m", "celery_rs", *row.before, *entry.words, *row.after],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
        env={**os.environ, "PYTHONPATH": ""},
        cwd=project,
    )

    said = [line for line in ended.stderr.splitlines() if not line.startswith(ROOT)]
    assert ended.returncode == row.code, ended.stderr
    assert len(said) == 1, ended.stderr
    assert said[0].startswith("Error: ")
