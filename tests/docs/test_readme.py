"""The README is typed in as it stands, in an empty folder."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import README, blocks
from tests.worker.process import eventually

SECONDS = 60
_END = "\x1e"


def environment(home: Path) -> dict[str, str]:
    """A new user's: nothing is set, and the commands are those beside this Python."""
    return {"HOME": str(home), "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "LANG": "C.UTF-8"}


def commands(block: str) -> list[tuple[str, str]]:
    """The commands of a console block, each with what it is said to print."""
    command, *rest = block.removeprefix("$ ").split("\n$ ")
    return [(line, said) for line, _, said in (part.partition("\n") for part in (command, *rest))]


def typed(folder: Path, lines: list[str]) -> list[str]:
    """Type these lines into one shell; what each of them printed."""
    script = "\n".join(f"{line}\nprintf '{_END}'" for line in lines)
    shell = subprocess.run(
        ["bash", "-e", "-c", script],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert shell.returncode == 0, shell.stdout + shell.stderr
    return shell.stdout.split(_END)[:-1]


def alike(printed: str) -> str:
    """Without what differs from machine to machine."""
    return re.sub(r"celery@[\w.-]+", "celery@host", printed).strip()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """An empty folder in which the README's first steps were taken: `tasks.py`, and a worker that runs."""
    (code,) = blocks(README, "python")
    (tmp_path / "tasks.py").write_text(code)
    ((start, _),) = commands(blocks(README, "console")[0])
    log = tmp_path / "worker.log"
    with log.open("w") as output:
        worker = subprocess.Popen(
            start.split(),
            cwd=tmp_path,
            env=environment(tmp_path),
            stdout=output,
            stderr=output,
            executable=_celery_rs(),
        )
    try:
        eventually(lambda: " ready." in log.read_text() or worker.poll() is not None)
        assert worker.poll() is None, log.read_text()
        yield tmp_path
    finally:
        worker.terminate()
        try:
            worker.wait(10)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()


def _celery_rs() -> str:
    return os.fspath(Path(sys.executable).with_name("celery-rs"))


def test_the_python_session_goes_as_it_is_printed(folder: Path) -> None:
    (session,) = blocks(README, "pycon")
    (folder / "session.txt").write_text(session)

    checked = subprocess.run(
        [sys.executable, "-m", "doctest", "-o", "ELLIPSIS", "session.txt"],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )

    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_commands_print_what_they_are_said_to(folder: Path) -> None:
    session = [step for block in blocks(README, "console")[1:] for step in commands(block)]

    printed = typed(folder, [command for command, _ in session])

    assert [alike(text) for text in printed] == [alike(said) for _, said in session]
