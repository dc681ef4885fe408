"""Completion: what a shell is told, as the shell asks for it."""

import os
import shutil
import subprocess

import pytest

from tests.cli.conftest import Run, Write, error_of

APP = """
print("noise that a shell would take for a suggestion")
from celery_rs import Celery
app = Celery("proj", broker="memory://")

@app.task
def add(x, y): ...

@app.task
def subtract(x, y): ...
"""


def suggestions(run: Run, *words: str) -> list[str]:
    """What bash is told for the last of these words."""
    os.environ.update(
        _CELERY_RS_COMPLETE="bash_complete", COMP_WORDS=" ".join(("celery-rs", *words)), COMP_CWORD=str(len(words))
    )
    try:
        result = run()
    finally:
        del os.environ["_CELERY_RS_COMPLETE"]
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    return [line.partition(",")[2] for line in result.stdout.splitlines() if line]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell_is_printed(run: Run, shell: str) -> None:
    script = run("completion", shell).stdout

    assert f"_CELERY_RS_COMPLETE={shell}_complete" in script
    assert "celery-rs" in script


def test_bash_accepts_the_script(run: Run) -> None:
    script = run("completion", "bash").stdout

    checked = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_accept_the_script(run: Run, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    script = run("completion", shell).stdout

    assert subprocess.run([shell, "-n"], input=script, text=True, check=False).returncode == 0


def test_an_unknown_shell_is_refused(run: Run) -> None:
    assert "'bash', 'zsh', 'fish'" in error_of(run("completion", "tcsh"), 2)


def test_commands_are_completed(run: Run) -> None:
    assert suggestions(run, "co") == ["completion", "control"]
    assert suggestions(run, "dead", "") == ["list", "purge", "retry", "show"]


def test_options_are_completed(run: Run) -> None:
    assert suggestions(run, "--res") == ["--result-backend"]
    assert suggestions(run, "purge", "--fo") == ["--force"]


def test_modules_are_completed(run: Run, write: Write) -> None:
    write({"proj/__init__.py": "", "proj/tasks.py": "", "program.py": "", "notes.txt": "", "data/x": ""})

    assert suggestions(run, "-A", "pro") == ["program", "proj"]
    assert suggestions(run, "-A", "proj.t") == ["proj.tasks"]
    assert suggestions(run, "-A", "no.such.") == []


def test_tasks_are_completed(run: Run, write: Write) -> None:
    write({"proj.py": APP})

    assert suggestions(run, "-A", "proj", "call", "proj.s") == ["proj.subtract"]
    assert suggestions(run, "-A", "proj", "call", "") == ["proj.add", "proj.subtract"]
    assert suggestions(run, "call", "") == []
    assert suggestions(run, "-A", "nowhere", "call", "") == []


def test_tasks_of_packages_are_completed(run: Run, write: Write) -> None:
    app = "from celery_rs import Celery\napp = Celery(broker='memory://')\napp.autodiscover_tasks(['proj'])"
    tasks = "print('noise')\nfrom celery_rs import shared_task\n\n@shared_task\ndef add(x, y): ..."
    write({"proj/__init__.py": "", "proj/celery.py": app, "proj/tasks.py": tasks})

    assert suggestions(run, "-A", "proj", "call", "proj.tasks.") == ["proj.tasks.add"]


def test_remote_commands_and_their_tasks_are_completed(run: Run, write: Write) -> None:
    write({"proj.py": APP})

    assert suggestions(run, "control", "rate_l") == ["rate_limit"]
    assert "ping" in suggestions(run, "inspect", "")
    assert "ping" not in suggestions(run, "control", "")
    assert suggestions(run, "-A", "proj", "control", "rate_limit", "proj.a") == ["proj.add"]
    assert suggestions(run, "-A", "proj", "control", "rate_limit", "proj.add", "") == []
