"""Options that an app adds to the commands: `app.user_options`."""

import os

import pytest

from tests.cli.conftest import Run, Write, error_of

APP = """
import click
from celery_rs import Celery, signals

app = Celery("proj", broker="memory://")
app.user_options["preload"].add(click.Option(["--tenant"], default="all", help="Whose tasks."))
app.user_options["worker"].add(click.Option(["--rack"], help="Where this worker stands."))


@signals.user_preload_options.connect
def told(sender, app, options, **_):
    print(sender.name, app.main, options)
"""


@pytest.mark.parametrize("command", [("call", "x"), ("purge", "-f"), ("list", "bindings"), ("dead", "list")])
def test_a_preload_option_is_told_before_the_command_runs(run: Run, write: Write, command: tuple[str, ...]) -> None:
    write({"proj.py": APP})

    result = run("-A", "proj", *command, "--tenant", "us")

    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[
        0
    ] == f"{command[-1] if command[-1] in ('bindings', 'list') else command[0]} proj " + str({"tenant": "us"})


def test_a_preload_option_has_its_default_and_its_variable(run: Run, write: Write) -> None:
    write({"proj.py": APP})

    assert "{'tenant': 'all'}" in run("-A", "proj", "call", "x").stdout
    os.environ["CELERY_CALL_TENANT"] = "eu"
    assert "{'tenant': 'eu'}" in run("-A", "proj", "call", "x").stdout


def test_a_worker_option_is_told_to_who_hears_of_the_worker(run: Run, write: Write) -> None:
    heard = """
@signals.celeryd_init.connect
def heard(options, **_):
    print("rack", options["rack"], "processes", options["concurrency"])
"""
    write({"proj.py": APP + heard})

    result = run("-A", "proj", "worker", "-P", "solo", "-c", "2", "--rack", "r7", "-X", "celery")

    assert "rack r7 processes 2" in result.stdout


def test_help_shows_them_where_there_is_an_app(run: Run, write: Write) -> None:
    write({"proj.py": APP})

    assert "Whose tasks." in run("-A", "proj", "call", "--help").stdout
    helped = run("-A", "proj", "worker", "--help").stdout
    assert "Whose tasks." in helped
    assert "Where this worker stands." in helped
    assert "Where this worker stands." not in run("-A", "proj", "call", "--help").stdout


def test_help_does_without_an_app_that_cannot_be_imported(run: Run) -> None:
    result = run("-A", "nowhere", "call", "--help")

    assert result.exit_code == 0
    assert "--kwargs" in result.stdout


def test_without_the_app_there_is_no_such_option(run: Run) -> None:
    assert "No such option" in error_of(run("-b", "memory://", "call", "x", "--tenant", "us"), 2)
