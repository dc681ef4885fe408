"""`celery-rs -A proj` with a project that was written for Celery."""

from pathlib import Path

import pytest

from tests.cli.running import celery_rs

PROJECT = """
from celery import Celery

app = Celery("proj", broker="sqlite:///tasks.sqlite3", some_setting_of_ours=1)


@app.task
def add(x, y):
    return x + y
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "proj.py").write_text(PROJECT)
    return tmp_path


@pytest.mark.parametrize(
    ("option", "env"), [((), {"CELERY_RS_DROP_IN": "1"}), (("--drop-in",), {})], ids=["variable", "option"]
)
def test_a_project_for_celery_just_works(project: Path, option: tuple[str, ...], env: dict[str, str]) -> None:
    run = celery_rs(project, *option, "call", "proj.add", "-a", "[2, 2]", env=env)

    assert run.returncode == 0, run.stderr
    assert len(run.stdout.strip()) == len("35f35f3c-5b1b-4d7c-8c0e-6d3a4f0b4a7e")


def test_a_process_that_the_command_starts_knows_it_too(project: Path) -> None:
    (project / "proj.py").write_text(PROJECT + "\nimport os\nprint(os.environ['CELERY_RS_DROP_IN'])\n")

    run = celery_rs(project, "--drop-in", "list", "bindings")

    assert run.stdout.startswith("1\n"), run.stderr


def test_without_either_and_without_celery_the_error_says_what_to_set(project: Path) -> None:
    run = celery_rs(project, "list", "bindings")

    assert run.returncode == 2
    assert run.stderr == (
        "Error: -A proj: importing 'proj' failed with ModuleNotFoundError: No module named 'celery' (proj.py:2); "
        "set CELERY_RS_DROP_IN=1 to have celery-rs stand in for Celery\n"
    )


def test_a_name_that_is_missing_is_one_line(project: Path) -> None:
    (project / "proj.py").write_text("from celery import Celery\nfrom celery.schedules import crontab\n")

    run = celery_rs(project, "list", "bindings", env={"CELERY_RS_DROP_IN": "1"})

    assert run.returncode == 2
    assert run.stderr == (
        "Error: -A proj: importing 'proj' failed with ImportError: celery_rs has no equivalent of celery.schedules: "
        "call the task from cron or a systemd timer (see docs/migrating) (proj.py:2); correct that first\n"
    )


def test_a_variable_that_is_neither_yes_nor_no_is_refused(project: Path) -> None:
    run = celery_rs(project, "list", "bindings", env={"CELERY_RS_DROP_IN": "perhaps"})

    assert run.returncode == 2
    assert "CELERY_RS_DROP_IN" in run.stderr
    assert len(run.stderr.splitlines()) == 1


def test_celerys_default_broker_is_named_as_one_that_is_not_there(project: Path) -> None:
    (project / "proj.py").write_text("from celery import Celery\napp = Celery('proj')\n")

    run = celery_rs(project, "status", env={"CELERY_RS_DROP_IN": "1"})

    assert run.returncode != 0
    assert "amqp" in run.stderr
    assert len(run.stderr.splitlines()) == 1
