"""Every option can be given by a variable: CELERY_<COMMAND>_<OPTION>, and the global ones by Celery's names."""

import os
from collections.abc import Iterator

import click
import pytest

from celery_rs.cli import cli
from tests.cli.conftest import Run, Write

GLOBAL = {
    "app": ("APP", "CELERY_APP"),
    "broker": ("BROKER_URL", "CELERY_BROKER"),
    "result_backend": ("RESULT_BACKEND", "CELERY_RESULT_BACKEND"),
    "loader": ("LOADER", "CELERY_LOADER"),
    "config": ("CONFIG_MODULE", "CELERY_CONFIG_MODULE"),
    "workdir": ("CELERY_WORKDIR",),
    "quiet": ("CELERY_QUIET",),
    "skip_checks": ("SKIP_CHECKS", "CELERY_SKIP_CHECKS"),
}


def commands(ctx: click.Context) -> Iterator[click.Context]:
    """A context for every command that is not a group."""
    if not isinstance(ctx.command, click.Group):
        yield ctx
        return
    for name in ctx.command.list_commands(ctx):
        inner = ctx.command.get_command(ctx, name)
        assert inner is not None
        yield from commands(click.Context(inner, parent=ctx, info_name=name))


ROOT = click.Context(cli, info_name="celery-rs", auto_envvar_prefix="CELERY")
OPTIONS = [
    (ctx, option)
    for ctx in commands(ROOT)
    for option in ctx.command.params
    if isinstance(option, click.Option) and option.expose_value
]


def variable(ctx: click.Context, option: click.Option) -> str:
    flag = max((flag for flag in option.opts if flag.startswith("--")), key=len)
    words = [*ctx.command_path.split()[1:], flag.lstrip("-")]
    return "_".join(["CELERY", *words]).upper().replace("-", "_")


@pytest.mark.parametrize(("ctx", "option"), OPTIONS, ids=[variable(*one) for one in OPTIONS])
def test_an_option_reads_its_variable(
    ctx: click.Context, option: click.Option, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = [flag for flag in option.opts if flag.startswith("--")]
    names = [
        "_".join(["CELERY", *ctx.command_path.split()[1:], flag.lstrip("-")]).upper().replace("-", "_")
        for flag in flags
    ]
    heard = []
    for name in names:
        monkeypatch.setenv(name, "yes")
        heard.append(option.resolve_envvar_value(ctx))
        monkeypatch.delenv(name)

    assert "yes" in heard


@pytest.mark.parametrize(("name", "variables"), GLOBAL.items(), ids=GLOBAL)
def test_a_global_option_reads_its_variables(
    name: str, variables: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    (option,) = (option for option in cli.params if option.name == name)
    assert isinstance(option, click.Option)

    for one in variables:
        monkeypatch.setenv(one, "yes")
        assert option.resolve_envvar_value(ROOT) == "yes"
        monkeypatch.delenv(one)


def test_a_variable_does_what_the_option_does(run: Run, broker: str) -> None:
    os.environ.update(CELERY_BROKER=broker, CELERY_PURGE_FORCE="1", CELERY_PURGE_JSON="1", CELERY_PURGE_QUEUES="a,b")

    assert run("purge").stdout == '{"purged": {"a": 0, "b": 0}}\n'


def test_the_working_directory_comes_from_its_variable(run: Run, write: Write) -> None:
    write({"below/proj.py": "from celery_rs import Celery\napp = Celery('proj', broker='memory://')\n"})
    os.environ["CELERY_WORKDIR"] = "below"

    assert run("-A", "proj", "list", "bindings").exit_code == 0


def test_a_bad_value_names_the_variable_that_it_comes_from(run: Run, write: Write) -> None:
    os.environ["CELERY_CALL_ARGS"] = "x"

    from_variable = run("call", "t")
    from_words = run("call", "t", "-a", "x")

    assert from_variable.stderr.endswith("(it comes from the variable CELERY_CALL_ARGS)\n")
    assert "variable" not in from_words.stderr
