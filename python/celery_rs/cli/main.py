"""The `celery-rs` command: global options, and how every command reports its errors."""

import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any, NoReturn, TextIO

import click
from click.core import ParameterSource
from click.exceptions import NoArgsIsHelpError
from click.shell_completion import CompletionItem

from celery_rs.cli import commands
from celery_rs.cli.completion import suggest_modules
from celery_rs.cli.options import Globals
from celery_rs.cli.output import ExitCode, Failure, code_of, print_error, print_note
from celery_rs.drop_in import install
from celery_rs.errors import CeleryError

DROP_IN = "CELERY_RS_DROP_IN"

EXAMPLES = """\b
Examples:
  celery-rs -A proj worker -l info
  celery-rs -A proj call proj.add -a '[2, 2]'
  celery-rs -A proj control rate_limit proj.add 10/m
  celery-rs -A proj status

\b
Exit codes:
  0 success, 1 failure, 2 wrong usage, app or setting,
  69 no worker replied or the broker cannot be reached, 73 pid file in use"""


class CommandLine(commands.CommandGroup):
    """Commands that are imported when they are used; errors in one line on stderr; what belongs before the command."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> NoReturn:
        """Run and exit. `standalone_mode` is click's; here it is always on."""
        raise SystemExit(self._run(args, prog_name, complete_var, extra))

    def _run(self, args: Sequence[str] | None, name: str | None, complete: str | None, extra: dict[str, Any]) -> int:
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _show_warning
                ended = super().main(args, name, complete, standalone_mode=False, **extra)
        except click.Abort:
            click.echo("Aborted!", err=True)
            return ExitCode.FAILURE
        except Failure as error:
            print_error(str(error))
            return error.code
        except NoArgsIsHelpError as error:
            click.echo(error.format_message(), err=True)
            return error.exit_code
        except click.ClickException as error:
            print_error(self._sentence(error))
            return error.exit_code
        except CeleryError as error:
            print_error(str(error))
            return code_of(error)
        except UnicodeEncodeError:
            word = _not_text(sys.argv[1:] if args is None else args)
            if word is None:
                raise
            print_error(f"expected text in UTF-8, got {os.fsencode(word)!r}")
            return ExitCode.USAGE
        except BrokenPipeError:
            # The reader of our output has left (`| head`); Python must not try to flush it at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            return ExitCode.FAILURE
        return ended if isinstance(ended, int) else ExitCode.OK

    def _sentence(self, error: click.ClickException) -> str:
        if not isinstance(error, click.NoSuchOption) or error.ctx is None or error.ctx.parent is None:
            return f"{error.format_message().rstrip('.')}{_origin(error)}"
        option, command = error.option_name, error.ctx.command_path.partition(" ")[2]
        if any(option in parameter.opts for parameter in self.params):
            return f"{option} is a global option: put it before the command, as in `celery-rs {option} ... {command}`"
        return error.format_message().rstrip(".")

    def list_commands(self, ctx: click.Context) -> list[str]:
        return commands.names()

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return commands.find(cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(commands.help_lines())

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        found = [CompletionItem(name, help=line) for name, line in commands.help_lines() if name.startswith(incomplete)]
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def complaint(self, ctx: click.Context, word: str) -> str:
        if word in commands.REFUSED:
            return f"the command {word!r} is not supported yet: {commands.REFUSED[word]}"
        return super().complaint(ctx, word)


def _not_text(words: Sequence[str]) -> str | None:
    """The word that holds bytes which are no text; as the path of a file it may be right all the same."""
    return next((word for word in words if any("\udc80" <= letter <= "\udcff" for letter in word)), None)


def _origin(error: click.ClickException) -> str:
    """Where a bad value comes from, if it is not the command line, as the end of a sentence."""
    if not isinstance(error, click.BadParameter) or error.ctx is None or error.param is None:
        return ""
    if error.ctx.get_parameter_source(error.param.name or "") is not ParameterSource.ENVIRONMENT:
        return ""
    own = [error.param.envvar] if isinstance(error.param.envvar, str) else list(error.param.envvar or ())
    automatic = [f"{error.ctx.auto_envvar_prefix}_{flag.strip('-')}" for flag in error.param.opts]
    names = [*own, *(name.upper().replace("-", "_") for name in automatic)]
    return f" (it comes from the variable {next((name for name in names if name in os.environ), names[-1])})"


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Python's warnings without its line of source code."""
    print_note(f"Warning: {message}")


def _no_color(ctx: click.Context, _parameter: click.Parameter, value: bool) -> bool:
    # https://no-color.org: any value of the variable but the empty one.
    if value or os.environ.get("NO_COLOR"):
        ctx.color = False
        os.environ["NO_COLOR"] = "1"  # for what is printed when the context has ended, and for other processes
    return value


def _drop_in(ctx: click.Context, _parameter: click.Parameter, value: bool) -> bool:
    # Before anything of the user's is imported, a plug-in's command included.
    if value:
        install()
        os.environ[DROP_IN] = "1"  # for the processes that are started from here
    return value


@click.group(
    cls=CommandLine,
    invoke_without_command=True,
    epilog=EXAMPLES,
    context_settings={"auto_envvar_prefix": "CELERY", "help_option_names": ["-h", "--help"]},
)
@click.option(
    "-A",
    "--app",
    envvar=["APP", "CELERY_APP"],
    metavar="MODULE[:NAME]",
    shell_complete=suggest_modules,
    help="The app: a module that has one, or module and name.",
)
@click.option(
    "-b",
    "--broker",
    envvar=["BROKER_URL", "CELERY_BROKER"],
    metavar="URL",
    help="The broker, instead of the configured one.",
)
@click.option(
    "--result-backend",
    envvar=["RESULT_BACKEND", "CELERY_RESULT_BACKEND"],
    metavar="URL",
    help="The result store, instead of the configured one.",
)
@click.option(
    "--loader",
    envvar=["LOADER", "CELERY_LOADER"],
    metavar="NAME",
    help="The loader: app, default, or the path of a class.",
)
@click.option(
    "--config",
    envvar=["CONFIG_MODULE", "CELERY_CONFIG_MODULE"],
    metavar="MODULE",
    help="A module of settings.",
)
@click.option(
    "--workdir",
    envvar="CELERY_WORKDIR",
    type=click.Path(exists=True, file_okay=False),
    metavar="DIRECTORY",
    help="Change to this directory first.",
)
@click.option(
    "-C",
    "--no-color",
    is_flag=True,
    is_eager=True,
    callback=_no_color,
    help="Plain text; so does any value of the variable NO_COLOR.",
)
@click.option("-q", "--quiet", is_flag=True, help="No banner and no counts.")
@click.option(
    "--skip-checks",
    envvar=["SKIP_CHECKS", "CELERY_SKIP_CHECKS"],
    is_flag=True,
    help="Skip Django's checks; without Django there are none.",
)
@click.option(
    "--drop-in",
    envvar=DROP_IN,
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_drop_in,
    help="Stand in for Celery: in what is imported, `celery` and `kombu` are celery-rs.",
)
@click.version_option(
    package_name="celery-rs", message="celery-rs %(version)s (Python {}.{}.{})".format(*sys.version_info)
)
@click.pass_context
def cli(
    ctx: click.Context,
    app: str | None,
    broker: str | None,
    result_backend: str | None,
    loader: str | None,
    config: str | None,
    workdir: str | None,
    no_color: bool,
    quiet: bool,
    skip_checks: bool,
) -> None:
    """A distributed task queue with Celery's interface."""
    started_in = os.getcwd()
    if workdir is not None:
        os.chdir(workdir)
    # The settings read these variables first, here and in every process that is started from here.
    for variable, value in (
        ("CELERY_BROKER_URL", broker),
        ("CELERY_RESULT_BACKEND", result_backend),
        ("CELERY_LOADER", loader),
        ("CELERY_CONFIG_MODULE", config),
        ("CELERY_SKIP_CHECKS", "true" if skip_checks else None),
    ):
        if value is not None:
            os.environ[variable] = value
    # `Celery.start` hands over the app itself
    ctx.obj = Globals(ctx.obj if app is None else app, broker, result_backend, config, quiet, started_in)
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
