"""Mistakes on the command line: one line on stderr, the documented exit code, no stack trace."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from celery_rs.cli import cli
from celery_rs.cli.worker import worker
from tests.cli.conftest import Run, Write, error_of

APP = "from celery_rs import Celery\napp = Celery('proj', broker='memory://')\n"

WRONG = [
    (("wroker",), "no command 'wroker'; did you mean 'worker'?"),
    (("frobnicate",), "no command 'frobnicate'; the commands are call, "),
    (("--frob",), "No such option"),
    (("worker", "-A", "proj"), "-A is a global option: put it before the command, as in `celery-rs -A ... worker`"),
    (("status", "--app=proj"), "--app is a global option: put it before the command"),
    (("status", "-b", "x"), "-b is a global option"),
    (("-A", "proj", "worker", "-c", "many"), "expected a number or 'auto', got 'many'"),
    (("-A", "proj", "worker", "-c", "-3"), "expected a number or 'auto', got '-3'"),
    (
        ("-A", "proj", "worker", "-l", "loud"),
        "expected one of DEBUG, INFO, WARNING, ERROR, CRITICAL, FATAL, got 'loud'",
    ),
    (("-A", "proj", "worker", "-P", "gevent"), "pool 'gevent' is not supported yet; use prefork or solo"),
    (("-A", "proj", "worker", "-P", "swimming"), "expected prefork or solo, got 'swimming'"),
    (("-A", "proj", "worker", "-n", "a b@h"), "expected a node name such as 'w1@%h', got 'a b@h'"),
    (("-A", "proj", "worker", "-n", "w1@%x"), "expected %h, %n, %d or %%, got '%x' in 'w1@%x'"),
    (("-A", "proj", "worker", "--time-limit", "soon"), "expected a number of seconds, 0 or more, got 'soon'"),
    (("-A", "proj", "worker", "--time-limit", "nan"), "expected a number of seconds"),
    (("-A", "proj", "worker", "--time-limit", "inf"), "expected a number of seconds"),
    (
        ("-A", "proj", "worker", "--soft-time-limit", "9", "--time-limit", "5"),
        "--soft-time-limit must not be above --time-limit, got 9 and 5",
    ),
    (("-A", "badformat", "worker"), "worker_log_format must be a format such as '%(asctime)s %(message)s', got"),
    (("-A", "proj", "worker", "--max-tasks-per-child", "0"), "0 is not in the range"),
    (("-A", "proj", "worker", "-f", "%x.log"), "--logfile: expected %h, %n, %d, %p, %i, %I or %%, got '%x'"),
    (("-A", "proj", "worker", "-I", "nowhere"), "importing the task module 'nowhere' failed with ModuleNotFoundError"),
    (("-A", "proj", "worker", "-I", "broken"), "SyntaxError: '(' was never closed (broken.py:1)"),
    (("-A", "proj", "worker", "-X", "celery"), "expected a queue to consume from, got none; see -Q and -X"),
    (("-A", "strict", "worker", "-Q", "nope"), "'nope'"),
    (
        ("-A", "proj", "worker", "surplus"),
        "expected settings such as worker.prefetch_multiplier=1 after the options, got 'surplus'",
    ),
    (("-A", "badconf", "worker"), "unknown setting"),
    (("-b", "nonsense", "status"), "expected a broker URL such as"),
    (("-b", "sqlite:///broker.sqlite3", "purge", "-f", "-Q", "a\udcff"), r"expected text in UTF-8, got b'a\xff'"),
    (("-b", "memory://", "call", "x", "-a", "[1,"), "expected a JSON list such as '[2, 2]', got '[1,'"),
    (("-b", "memory://", "call", "x", "-a", "{}"), "expected a JSON list such as '[2, 2]', got '{}'"),
    (("-b", "memory://", "call", "x", "-k", "[]"), "expected a JSON object such as"),
    (("-b", "memory://", "call", "x", "--eta", "soon"), "expected a time such as"),
    (("-b", "memory://", "call", "x", "--expires", "soon"), "or seconds such as 60, got 'soon'"),
    (("-b", "memory://", "call", "x", "--eta", "2030-01-01", "--countdown", "3"), "expected --eta or --countdown, got"),
    (("-b", "memory://", "call"), "Missing argument 'NAME'"),
    (("-b", "memory://", "call", "x", "--countdown", "inf"), "expected a number of seconds, got 'inf'"),
    (("-b", "memory://", "call", "x", "--expires", "nan"), "expires must be seconds from now within the calendar"),
    (("-b", "memory://", "control"), "Missing argument"),
    (
        ("-b", "memory://", "control", "rate_limti", "x", "1/s"),
        "no control command 'rate_limti'; did you mean 'rate_limit'?",
    ),
    (("-b", "memory://", "control", "rate_limit", "x"), "'rate_limit' takes <task> <10/s | 5/m | 2/h | 0>, got x"),
    (("-b", "memory://", "control", "election"), "'election' takes <id> <topic> [action], got nothing"),
    (("-b", "memory://", "control", "rate_limit", "x", "1", "2"), "'rate_limit' takes <task>"),
    (("-b", "memory://", "control", "ping"), "'ping' is a command of inspect: `celery-rs inspect ping`"),
    (("-b", "memory://", "inspect", "ping", "loud"), "'ping' takes no arguments, got loud"),
    (("-b", "memory://", "inspect", "-t", "nan", "ping"), "expected a number of seconds"),
    (("-b", "memory://", "inspect", "-t", "0", "ping"), "expected a number of seconds above 0, got '0'"),
    (("-b", "memory://", "purge", "-f", "-Q", "a", "-X", "a"), "expected a queue to purge, got none"),
]


@pytest.mark.parametrize(("arguments", "said"), WRONG, ids=[" ".join(arguments) for arguments, _ in WRONG])
def test_a_mistake_is_one_line_and_exit_code_2(run: Run, write: Write, arguments: tuple[str, ...], said: str) -> None:
    write(
        {
            "proj.py": APP,
            "broken.py": "(",
            "strict.py": APP + "app.conf.task_create_missing_queues = False",
            "badformat.py": APP + "app.conf.worker_log_format = '%(nosuch)s'",
            "badconf.py": APP + "app.config_from_object({'wroker_concurrency': 1})",
        }
    )

    assert said in error_of(run(*arguments), 2)


@pytest.mark.parametrize(("names", "what_to_do"), sorted(worker.refusals().items()))
def test_an_option_that_is_not_there_yet_is_refused_by_name(run: Run, names: str, what_to_do: str) -> None:
    for option in names.split(", "):
        words = (option,) if names[:2] == "-B" else (option, "1")
        assert error_of(run("-A", "proj", "worker", *words), 2) == f"{names} is not supported yet: {what_to_do}"


def test_a_variable_of_an_option_that_is_not_there_yet_is_refused(run: Run) -> None:
    os.environ["CELERY_WORKER_BEAT"] = "1"

    assert "--beat is not supported yet" in error_of(run("-A", "proj", "worker"), 2)


def test_options_come_from_the_environment(run: Run, write: Write) -> None:
    write({"proj.py": APP})
    os.environ["CELERY_APP"] = "proj"
    os.environ["CELERY_WORKER_CONCURRENCY"] = "many"

    assert "'-c'" in error_of(run("worker"), 2)


@pytest.mark.parametrize("group", ["dead", "graph", "list", "logtool", "upgrade"])
def test_a_group_without_a_command_shows_its_help(run: Run, group: str) -> None:
    result = run(group)

    assert result.exit_code == 2
    assert result.stderr.startswith(f"Usage: celery-rs {group} [OPTIONS] COMMAND [ARGS]...\n")
    assert "\nCommands:\n" in result.stderr


def test_no_command_shows_the_help(run: Run) -> None:
    result = run()

    assert result.exit_code == 0
    assert "Usage: celery-rs" in result.stdout


def tree(group: click.Group, *path: str) -> Iterator[tuple[str, ...]]:
    """Every command and group, by the words that lead to it."""
    ctx = click.Context(group)
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        yield (*path, name)
        if isinstance(command, click.Group):
            yield from tree(command, *path, name)


def command_at(path: tuple[str, ...]) -> click.Command:
    command: click.Command | None = cli
    for name in path:
        assert isinstance(command, click.Group)
        command = command.get_command(click.Context(command), name)
    assert command is not None
    return command


@pytest.mark.parametrize("path", [*tree(cli)], ids=" ".join)
def test_every_command_has_help_without_an_app_or_a_broker(run: Run, path: tuple[str, ...]) -> None:
    result = run(*path, "--help")

    assert result.exit_code == 0
    assert f"Usage: celery-rs {' '.join(path)} " in result.stdout
    assert result.stderr == ""


@pytest.mark.parametrize("path", [(), *tree(cli)], ids=" ".join)
def test_every_command_and_option_says_what_it_does(path: tuple[str, ...]) -> None:
    command = command_at(path)
    shown = [option for option in command.params if isinstance(option, click.Option) and not option.hidden]
    silent = [option.opts for option in shown if not option.help]

    assert command.help
    assert not command.get_short_help_str(200).endswith("...")
    assert silent == []


def test_a_command_in_the_wrong_place_of_a_group_is_known(run: Run) -> None:
    assert error_of(run("dead", "lits"), 2) == "no command 'lits'; did you mean 'list'?"
    assert error_of(run("list", "bindings", "-A", "proj"), 2) == (
        "-A is a global option: put it before the command, as in `celery-rs -A ... list bindings`"
    )


def test_the_help_of_control_lists_the_table(run: Run) -> None:
    assert "rate_limit <task> <10/s | 5/m | 2/h | 0>" in run("control", "--help").stdout


def test_python_dash_m_is_the_same_program(project: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "celery_rs", "-A", "nowhere", "status"], capture_output=True, text=True, check=False
    )

    assert ended.returncode == 2
    assert ended.stderr.startswith("Error: -A nowhere: there is no module 'nowhere'")
    assert ended.stderr.count("\n") == 1
