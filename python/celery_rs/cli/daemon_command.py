"""A command that runs for long: it takes its place on the machine before the app is imported.

So its own options are read twice: first those that say where it runs, and as whom; then, in that place, all of them
with those that the app adds. What is wrong with the command line is found the first time, in front of whoever typed it.
"""

from typing import Any

import click

from celery_rs.cli.app_command import AppCommand
from celery_rs.cli.daemon import daemon_of, execute, take_place
from celery_rs.cli.detach import Launch, launch
from celery_rs.cli.groups import GroupedCommand
from celery_rs.cli.options import Globals

_LAUNCH = "celery_rs.cli.launch"
_WORDS = "celery_rs.cli.words"


class DaemonCommand(GroupedCommand, AppCommand):
    """Needs the options of `daemon_options`, and `--detach`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if ctx.resilient_parsing or set(args) & set(self.get_help_option_names(ctx)):
            return super().parse_args(ctx, args)
        ctx.meta[_WORDS] = tuple(args)
        early = self._early(ctx, args)
        launched = ctx.meta[_LAUNCH] = launch(detach=early["detach"])
        with launched.reporting():
            daemon = daemon_of(early)
            take_place(daemon)
            if daemon.executable is not None:
                replace_python(ctx, daemon.executable, "--executable")
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        with launch_of(ctx).reporting():
            return super().invoke(ctx)

    def _early(self, ctx: click.Context, args: list[str]) -> dict[str, Any]:
        """The options by name, but for those that only the app knows."""
        here = click.Context(
            self,
            parent=ctx.parent,
            info_name=ctx.info_name,
            ignore_unknown_options=True,
            allow_extra_args=True,
        )
        with here.scope():
            click.Command.parse_args(self, here, list(args))
        return here.params


def launch_of(ctx: click.Context) -> Launch:
    """How the process of this command came up."""
    launched: Launch = ctx.meta[_LAUNCH]
    return launched


def replace_python(ctx: click.Context, path: str, called: str) -> None:
    """Put another Python in this one's place, if that is not what it is already. Raises Failure."""
    if not launch_of(ctx).inherited:
        launch_of(ctx).pass_on(_started_in(ctx))
        execute(path, called, [*global_words(ctx), ctx.info_name or "", *ctx.meta[_WORDS]])


def stay(ctx: click.Context) -> None:
    """A program that is executed from now on in this process's place (SIGHUP) is where it belongs already."""
    launch_of(ctx).pass_on(_started_in(ctx))


def _started_in(ctx: click.Context) -> str:
    given: Globals = ctx.obj
    return given.started_in


def global_words(ctx: click.Context) -> list[str]:
    """What was typed before the command."""
    above = ctx.parent
    if above is None:
        return []
    words: list[str] = []
    for param in above.command.params:
        if not param.name or above.get_parameter_source(param.name) != click.core.ParameterSource.COMMANDLINE:
            continue
        value = above.params.get(param.name)
        words += [param.opts[-1]] if value is True else [param.opts[-1], str(value)]
    return words
