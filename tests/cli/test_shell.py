"""shell: Python with the app at hand."""

import pytest

from tests.cli.conftest import Run, Write, error_of

APP = """
from celery_rs import Celery
app = Celery("proj", broker="memory://")

@app.task
def add(x, y):
    return x + y
"""


def test_the_app_and_its_tasks_are_there(run: Run, write: Write) -> None:
    write({"proj.py": APP})

    result = run("-A", "proj", "shell", "--python", input="add(2, 3), app is celery, Task.__name__\n")

    assert "(5, True, 'Task')" in result.output
    assert "<Celery proj at" in result.output


DISCOVERING = """
from celery_rs import Celery
app = Celery("proj", broker="memory://")
app.autodiscover_tasks(["proj"])
"""
TASKS = """
from celery_rs import shared_task

@shared_task
def multiply(x, y):
    return x * y
"""


def test_tasks_of_packages_are_there(run: Run, write: Write) -> None:
    write({"proj/__init__.py": "", "proj/celery.py": DISCOVERING, "proj/tasks.py": TASKS})

    assert "42" in run("-A", "proj", "shell", "--python", input="multiply(6, 7)\n").output


def test_a_task_module_that_fails_is_told_and_left_out(run: Run, write: Write) -> None:
    write({"proj/__init__.py": "", "proj/celery.py": DISCOVERING, "proj/tasks.py": "1 / 0"})

    result = run("-A", "proj", "shell", "--python", input="app.main\n")

    assert "'proj'" in result.output
    assert "cannot be imported: ZeroDivisionError" in result.stderr
    assert "Traceback" not in result.output


def test_tasks_can_be_left_out(run: Run, write: Write) -> None:
    write({"proj.py": APP})

    assert "NameError" in run("-A", "proj", "shell", "--python", "-T", input="add\n").output


@pytest.mark.parametrize("option", ["-I", "-B"])
def test_a_shell_that_is_not_installed_is_told(
    run: Run, monkeypatch: pytest.MonkeyPatch, broker: str, option: str
) -> None:
    for package in ("IPython", "bpython"):
        monkeypatch.setitem(__import__("sys").modules, package, None)

    error = error_of(run("-b", broker, "shell", option), 2)

    assert "which is not installed; install it or use --python" in error


def test_without_an_option_the_first_that_is_installed_is_used(
    run: Run, monkeypatch: pytest.MonkeyPatch, broker: str
) -> None:
    for package in ("IPython", "bpython"):
        monkeypatch.setitem(__import__("sys").modules, package, None)

    assert "<Celery default" in run("-b", broker, "shell", input="").output


@pytest.mark.parametrize("option", ["--eventlet", "--gevent"])
def test_green_shells_are_refused_by_name(run: Run, broker: str, option: str) -> None:
    assert error_of(run("-b", broker, "shell", option), 2).startswith(f"{option} is not supported yet")


def test_one_shell_at_a_time(run: Run, broker: str) -> None:
    assert error_of(run("-b", broker, "shell", "-I", "--python"), 2).startswith("expected one of --ipython, --python")
