"""The table of commands: what `--help` says without loading them, plug-ins, and what is refused by name."""

import re
import subprocess
import sys
from importlib.metadata import EntryPoint
from typing import Any

import click
import pytest

from celery_rs import errors
from celery_rs.cli import cli, commands
from celery_rs.cli.output import code_of
from tests.architecture.test_import_weight import loaded_by
from tests.cli.conftest import Run, error_of


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.CeleryError("a"), 1),
        (errors.ImproperlyConfigured("a"), 2),
        (errors.QueueNotFound("a"), 2),
        (errors.Unroutable("a"), 2),
        (errors.OperationalError("a"), 69),
        (errors.BackendError("a"), 69),
        (errors.StateFileError("a"), 73),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_has_its_exit_code(error: errors.CeleryError, code: int) -> None:
    assert code_of(error) == code


@pytest.mark.parametrize("name", commands.COMMANDS)
def test_the_table_says_what_the_command_says(name: str) -> None:
    command = commands.find(name)

    assert command is not None
    assert command.name == name
    assert command.get_short_help_str(200) == commands.COMMANDS[name].help


@pytest.mark.parametrize("name", commands.REFUSED)
def test_a_command_that_is_not_there_yet_is_refused_by_name(run: Run, name: str) -> None:
    error = error_of(run(name, "--anything"), 2)

    assert error.startswith(f"the command {name!r} is not supported yet: ")
    assert f"\n  {name} " not in run("--help").stdout


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["call", "--help"], ["purge", "--help"]])
def test_a_command_loads_no_more_than_it_needs(arguments: list[str]) -> None:
    loaded = loaded_by(f"from celery_rs.cli import cli\ntry: cli({arguments!r})\nexcept SystemExit: pass")

    assert "celery_rs.cli.main" in loaded
    assert not {name for name in loaded if name.startswith("celery_rs.worker")}


def plugged(monkeypatch: pytest.MonkeyPatch, **points: str) -> None:
    """Entry points as another package would have them."""
    found = [EntryPoint(name, value, commands.PLUGINS) for name, value in points.items()]
    monkeypatch.setattr("importlib.metadata.entry_points", lambda *, group: found if group == commands.PLUGINS else [])


@click.command(help="Water the plants.")
def garden() -> None:
    click.echo("done")


not_a_command: Any = 5


def test_other_packages_add_commands(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    plugged(monkeypatch, garden=f"{__name__}:garden")

    assert run("garden").stdout == "done\n"
    assert re.search(r"  garden +Water the plants.", run("--help").stdout)
    assert error_of(run("gardne"), 2) == "no command 'gardne'; did you mean 'garden'?"


def test_a_plugin_takes_the_place_of_no_command_of_ours(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    plugged(monkeypatch, call=f"{__name__}:garden", flower=f"{__name__}:garden")

    assert "JSON list" in run("call", "--help").stdout
    assert run("flower").stdout == "done\n"


@pytest.mark.parametrize("value", ["no.such.module:x", f"{__name__}:not_a_command"])
def test_a_plugin_that_cannot_be_loaded_is_told_and_left_out(
    run: Run, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    plugged(monkeypatch, broken=value)

    result = run("--help")

    assert result.exit_code == 0
    assert repr(value) in result.stderr
    assert result.stderr.count("\n") == 1
    assert "broken" not in result.stdout


def test_the_program_has_a_version() -> None:
    ended = subprocess.run([sys.executable, "-m", "celery_rs", "--version"], capture_output=True, text=True, check=True)

    assert ended.stdout.startswith("celery-rs 0.")


def test_every_command_is_found_by_the_group() -> None:
    with click.Context(cli) as ctx:
        assert set(cli.list_commands(ctx)) >= set(commands.COMMANDS)
