"""`report`, `check` and `upgrade settings`, in a project's directory."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from celery_rs.config import SETTINGS
from celery_rs.signals import before_task_publish
from tests.apps import make_app
from tests.cli.conftest import Run, Write, error_of
from tests.deadlines import DEADLINE_S

PROJ = """
from celery_rs import Celery
app = Celery("proj", broker="memory://{name}", backend="memory://{name}", {settings})

@app.task(name="proj.add")
def add(x, y):
    return x + y
"""


Make = Callable[..., None]


@pytest.fixture
def proj(write: Write, broker: str) -> Make:
    """Write `proj.py` with these settings."""

    def make(settings: str = "", more: str = "") -> None:
        write({"proj.py": PROJ.format(name=broker.partition("://")[2], settings=settings) + more})

    return make


def test_a_report_says_what_there_is_to_know(run: Run, proj: Make) -> None:
    proj("task_acks_late=True, broker_password='hunter2'")

    result = run("-A", "proj", "report")

    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].startswith("software: celery-rs:")
    assert any(line.startswith("broker: memory://") for line in lines)
    assert "task_acks_late: True" in lines
    assert "broker_password: '********'" in lines


def test_a_report_counts_the_settings_by_state(run: Run, proj: Make) -> None:
    proj()
    states = [setting.state for setting in SETTINGS]

    counts = f"{states.count('works')} work, {states.count('refused')} refused, {states.count('not yet')} not yet"

    assert f"settings: {counts}" in run("-A", "proj", "report").stdout.splitlines()


def test_a_report_for_programs_is_one_document(run: Run, proj: Make) -> None:
    proj("CELERYD_CONCURRENCY=3")

    document = json.loads(run("-A", "proj", "report", "--json").stdout)

    assert document["settings"]["worker_concurrency"] == 3
    assert sum(document["states"].values()) == len(SETTINGS)
    assert document["platform"]["python"].endswith(".".join(map(str, sys.version_info[:3])))


def test_a_report_needs_no_app(project: Path) -> None:
    command = [sys.executable, "-m", "celery_rs", "report"]

    found = subprocess.run(
        command, cwd=project, env=dict(os.environ), capture_output=True, text=True, timeout=DEADLINE_S
    )

    assert found.returncode == 0, found.stderr
    assert f"broker: sqlite:///{project}/celery-rs.sqlite3" in found.stdout.splitlines()


def test_the_app_has_the_same_report() -> None:
    assert "settings: " in make_app().bugreport()


def test_nothing_to_find_is_exit_code_0(run: Run, proj: Make) -> None:
    proj()

    result = run("-A", "proj", "check", "--no-workers")

    assert (result.exit_code, result.stdout) == (0, "0 findings in 1 task.\n")


def test_checking_changes_nothing_and_tells_nobody(
    run: Run, proj: Make, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(before_task_publish, "receivers", ())  # and again afterwards
    proj(
        "task_routes={'proj.add': 'topics'}, "
        "task_queues={'topics': {'exchange': 'ex', 'exchange_type': 'topic', 'routing_key': 'k.#'}}",
        more="from celery_rs.signals import before_task_publish\n"
        "@before_task_publish.connect\n"
        "def told(**_):\n    open('told', 'w').close()\n",
    )

    result = run("-b", "sqlite:///p.sqlite3", "-A", "proj", "check", "--no-workers")

    assert (result.exit_code, result.stdout) == (0, "0 findings in 1 task.\n")
    assert {path.name for path in project.iterdir()} <= {"proj.py", "__pycache__"}


def test_a_finding_is_a_line_and_the_line_to_change(run: Run, proj: Make) -> None:
    proj("task_routes={'proj.add': 'low'}")

    result = run("-A", "proj", "check", "--no-workers")

    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "task 'proj.add' goes to the queue 'low', which a worker without -Q does not consume",
        "    celery-rs -A ... worker -Q celery,low",
        "1 finding in 1 task.",
    ]


def test_findings_for_programs_are_one_document(run: Run, proj: Make) -> None:
    proj("task_soft_time_limit=20, task_time_limit=10")

    result = run("-A", "proj", "check", "--no-workers", "--json")

    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert [finding["rule"] for finding in document["findings"]] == ["limit"]
    assert document["findings"][0]["what"].startswith("task 'proj.add': the soft limit of 20 s is above")


def test_a_module_of_settings_is_checked_name_by_name(run: Run, write: Write, proj: Make) -> None:
    proj(more="app.config_from_object('settings')\n")
    write({"settings.py": "task_sexializer = 'json'\nworker_timer = 'x'\nresult_expires = 60\nDEBUG = True\n"})

    result = run("-A", "proj", "check", "--no-workers")

    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "'task_sexializer' is not a setting; did you mean 'task_serializer'?",
        "    rename task_sexializer to task_serializer",
        "worker_timer is not supported: the worker has no timer; leave it out; got 'x'",
        "    delete worker_timer",
        "2 findings in 1 task.",
    ]


def test_old_names_are_found(run: Run, write: Write, proj: Make) -> None:
    proj(more="app.config_from_object('settings')\n")
    write({"settings.py": "CELERY_TIMEZONE = 'UTC'\n"})

    assert "CELERY_TIMEZONE\n    celery-rs upgrade settings FILE" in run("-A", "proj", "check", "--no-workers").stdout


def test_task_modules_that_fail_are_found(run: Run, write: Write, proj: Make) -> None:
    proj("imports=['broken', 'missing']")
    write({"broken.py": "1 / 0\n"})

    result = run("-A", "proj", "check", "--no-workers")

    assert result.exit_code == 1
    assert "importing the task module 'broken' fails with ZeroDivisionError: division by zero" in result.stdout
    assert "importing the task module 'missing' fails with" in result.stdout


def test_a_source_that_cannot_be_read_is_a_finding(run: Run, proj: Make) -> None:
    proj(more="app.config_from_object({'task_routes': 3})\n")

    result = run("-A", "proj", "check", "--no-workers")

    assert result.exit_code == 1
    assert result.stdout.startswith("task_routes must be a dict of")


def test_a_broker_that_is_none_is_a_finding(run: Run, proj: Make) -> None:
    proj(more="app.conf.broker_url = 'sqs://u:hunter2@h'\n")

    result = run("-A", "proj", "check", "--no-workers")

    assert result.exit_code == 1
    assert "brokers like sqs:// are not supported yet" in result.stdout
    assert "hunter2" not in result.output


def test_running_workers_say_what_is_consumed(run: Run, proj: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    proj("task_routes={'proj.add': 'low'}")
    replies = {"w1@h": [{"name": "low"}], "w2@h": {"error": "no"}}
    monkeypatch.setattr("celery_rs.control.inspector.Inspect.active_queues", lambda self: replies)

    result = run("-A", "proj", "check", "--json")

    assert json.loads(result.stdout) == {"findings": [], "workers": ["w1@h"]}


def test_nobody_answering_is_no_finding(run: Run, proj: Make) -> None:
    proj()

    assert run("-A", "proj", "check", "-t", "0.05").exit_code == 0


@pytest.mark.parametrize(
    "text", ["import nothing_like_this", "app = 3", "from celery_rs import Celery; Celery(borker=1)"]
)
def test_an_app_that_cannot_be_loaded_is_exit_code_2(run: Run, write: Write, text: str) -> None:
    write({"proj.py": text})

    error_of(run("-A", "proj", "check"), 2)


def test_old_names_are_renamed_and_the_original_kept(run: Run, write: Write, project: Path) -> None:
    write({"settings.py": "CELERY_TIMEZONE = 'UTC'\nBROKER_URL = 'sqlite:///x'\n"})

    result = run("upgrade", "settings", "settings.py")

    assert result.stdout.splitlines() == [
        "CELERY_TIMEZONE -> timezone",
        "BROKER_URL -> broker_url",
        "2 names changed in settings.py; the original is settings.py.orig.",
    ]
    assert (project / "settings.py").read_text() == "timezone = 'UTC'\nbroker_url = 'sqlite:///x'\n"
    assert (project / "settings.py.orig").read_text().startswith("CELERY_TIMEZONE")


@pytest.mark.parametrize("option", ["--django", "--compat"])
def test_a_django_project_keeps_its_namespace(run: Run, write: Write, project: Path, option: str) -> None:
    write({"settings.py": "CELERYD_CONCURRENCY = 3\n"})

    run("upgrade", "settings", "settings.py", option, "--no-backup")

    assert (project / "settings.py").read_text() == "CELERY_WORKER_CONCURRENCY = 3\n"
    assert not (project / "settings.py.orig").exists()


def test_nothing_to_rename_leaves_the_file_alone(run: Run, write: Write, project: Path) -> None:
    write({"settings.py": "timezone = 'UTC'\n"})

    assert run("upgrade", "settings", "settings.py").stdout == "Nothing to change in settings.py.\n"
    assert not (project / "settings.py.orig").exists()


@pytest.mark.parametrize("text", [b"x = = 1", b"\xff", b"\0"])
def test_a_file_that_is_no_module_is_one_line(run: Run, project: Path, text: bytes) -> None:
    (project / "settings.py").write_bytes(text)

    assert "expected a Python module in UTF-8" in error_of(run("upgrade", "settings", "settings.py"), 2)
    assert "does not exist" in error_of(run("upgrade", "settings", "missing.py"), 2)
