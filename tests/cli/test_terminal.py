"""What somebody at a terminal sees: colours unless refused, bars, and what is waited for. Piped, all is plain."""

import os
import pty
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from celery_rs.app import Celery
from tests.cli.conftest import Write
from tests.deadlines import DEADLINE_S

APP = """
import os
from celery_rs import Celery
app = Celery("proj", broker=f"sqlite:///{os.getcwd()}/proj.sqlite3", backend=f"sqlite:///{os.getcwd()}/proj.sqlite3")
"""
COLOUR = "\x1b["


def seen(folder: Path, *words: str, variables: Mapping[str, str] = {}) -> str:
    """All that a terminal shows of a command."""
    terminal, side = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    process = subprocess.Popen(
        [sys.executable, "-m", "celery_rs", *words],
        cwd=folder,
        env={**environment, "TERM": "xterm", **variables},
        stdin=side,
        stdout=side,
        stderr=side,
    )
    os.close(side)
    shown = b""
    while True:
        try:
            more = os.read(terminal, 4096)
        except OSError:  # Linux says so when the other side is closed
            break
        if not more:
            break
        shown += more
    os.close(terminal)
    process.wait(DEADLINE_S)
    return shown.decode()


@pytest.fixture
def folder(project: Path, write: Write) -> Path:
    write({"proj.py": APP})
    return project


def test_a_terminal_has_colours(folder: Path) -> None:
    assert COLOUR in seen(folder, "nonsense")
    assert COLOUR in seen(folder, "-A", "proj", "list", "bindings")


@pytest.mark.parametrize(("words", "variables"), [(("-C",), {}), ((), {"NO_COLOR": "1"})])
def test_colours_can_be_refused(folder: Path, words: tuple[str, ...], variables: dict[str, str]) -> None:
    assert COLOUR not in seen(folder, *words, "nonsense", variables=variables)
    assert COLOUR not in seen(folder, *words, "-A", "proj", "list", "bindings", variables=variables)


def test_a_pipe_has_no_colours(folder: Path) -> None:
    piped = subprocess.run(
        [sys.executable, "-m", "celery_rs", "-A", "proj", "list", "bindings"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )

    assert COLOUR not in piped.stdout


def test_purging_shows_how_far_it_is(folder: Path) -> None:
    assert re.search(r"Purging .*100%", seen(folder, "-A", "proj", "purge", "-f"))
    assert "Purging" not in seen(folder, "-A", "proj", "-q", "purge", "-f")


def test_who_waits_for_a_result_is_told_for_what(folder: Path) -> None:
    url = f"sqlite:///{folder}/proj.sqlite3"
    with Celery("caller", broker=url, backend=url, set_as_current=False) as app:
        task_id = app.send_task("proj.nobody").id

    shown = seen(folder, "-A", "proj", "result", task_id, "--timeout", "2.5")
    quiet = seen(folder, "-A", "proj", "-q", "result", task_id, "--timeout", "0.1")

    waiting = rf"waiting for {task_id}, waiting in queue 'celery' for a worker: \d s \(Ctrl\+C to stop\)"
    assert re.search(waiting, shown)
    assert f"no result of {task_id} within 2.5 s" in shown
    assert "Ctrl+C" not in quiet
