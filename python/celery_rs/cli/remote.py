"""Asking workers from the command line: words to arguments by the table of commands, replies to output."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from celery_rs.app import Celery
from celery_rs.cli.apps import any_app, named_app, names_an_app
from celery_rs.cli.commands import hint
from celery_rs.cli.output import ExitCode, Failure, count_of, print_error
from celery_rs.cli.replies import print_replies
from celery_rs.cli.suggestions import suggest_tasks
from celery_rs.control import Control
from celery_rs.wire import is_error
from celery_rs.worker import Command, CommandKind, Parameter, find_command, list_commands


def list_of(kind: CommandKind) -> str:
    """The commands of a kind for `--help`."""
    rows = [(f"{row.name} {row.args}".strip(), row.help) for row in list_commands(kind) if not row.hidden]
    width = max(len(usage) for usage, _ in rows)
    return "\n".join(["\b", "Commands:", *(f"  {usage:<{width}}  {text}" for usage, text in rows)])


def list_option(kind: CommandKind) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`--list`: the commands of this kind, those that the app adds included."""

    def show(ctx: click.Context, parameter: click.Parameter, asked: bool) -> None:
        if asked and not ctx.resilient_parsing:
            if names_an_app(ctx):
                named_app(ctx)  # its modules may add commands
            click.echo(list_of(kind).partition("\n")[2])
            ctx.exit()

    return click.option(
        "--list", is_flag=True, expose_value=False, is_eager=True, callback=show, help="List the commands and exit."
    )


def suggest_words(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The commands of this kind; after them, where a task is meant, the tasks of the app."""
    words: Sequence[str] = ctx.params.get("words") or ()
    if not words:
        rows = (row for row in list_commands() if row.kind == ctx.info_name and not row.hidden)
        return [CompletionItem(row.name, help=row.help) for row in rows if row.name.startswith(incomplete)]
    row = find_command(words[0])
    wanted = row.parameters[len(words) - 1 : len(words)] if row is not None else ()
    return suggest_tasks(ctx, parameter, incomplete) if any(one.name == "task_name" for one in wanted) else []


def ask_workers(
    ctx: click.Context,
    kind: CommandKind,
    words: Sequence[str],
    *,
    timeout: float,
    destination: Sequence[str],
    as_json: bool,
) -> None:
    """Run one command of the table and print the replies; ends the process with the documented code."""
    if names_an_app(ctx):
        named_app(ctx)  # its modules may add commands
    row = _row(ctx, kind, words[0])
    arguments = _arguments(ctx, row, words[1:])
    if ctx.get_parameter_source("timeout") is ParameterSource.DEFAULT:
        timeout = row.timeout
    app = any_app(ctx)
    replies = gather(app, row.name, arguments, timeout=timeout, destination=destination)
    print_replies(replies, as_json=as_json)
    if kind == "inspect" and not as_json and not ctx.obj.quiet:
        click.echo(f"\n{count_of(len(replies), 'node')} online.")
    end(ctx, replies, destination, timeout)


def gather(
    app: Celery, method: str, arguments: Mapping[str, Any], *, timeout: float, destination: Sequence[str]
) -> dict[str, Any]:
    """The replies by node. Raises Failure when there is none."""
    answers = Control(app).broadcast(method, arguments, destination or None, reply=True, timeout=timeout)
    replies = {node: reply for answer in answers or () for node, reply in answer.items()}
    if not replies:
        whom = f" ({', '.join(destination)})" if destination else ""
        raise Failure(
            f"No nodes replied within time constraint: no worker{whom} answered on {app.transport.describe()} within "
            f"{timeout:g} s; is one running with this broker? A busy one may need a longer --timeout",
            ExitCode.UNAVAILABLE,
        )
    return replies


def end(ctx: click.Context, replies: Mapping[str, Any], destination: Sequence[str], timeout: float) -> None:
    """Exit with 69 if an asked node is silent, 1 if a reply is an error."""
    silent = sorted(set(destination) - set(replies))
    if silent:
        print_error(f"no reply from {', '.join(silent)} within {timeout:g} s; is it running with this broker?")
        ctx.exit(ExitCode.UNAVAILABLE)
    if any(map(is_error, replies.values())):
        ctx.exit(ExitCode.FAILURE)


def _row(ctx: click.Context, kind: CommandKind, name: str) -> Command:
    row = find_command(name)
    if row is None:
        known = [row.name for row in list_commands(kind) if not row.hidden]
        ctx.fail(f"no {kind} command {name!r}; {hint(name, known)}")
    if row.kind != kind:
        ctx.fail(f"{name!r} is a command of {row.kind}: `celery-rs {row.kind} {name}`")
    return row


def _arguments(ctx: click.Context, row: Command, words: Sequence[str]) -> dict[str, Any]:
    """The words as the command's arguments, in order. Sharing a JSON type is all that is checked here."""
    left = list(words)
    arguments: dict[str, Any] = {}
    for parameter in row.parameters:
        if parameter.type == "rest" and (left or not parameter.required):
            arguments[parameter.name], left = left, []
        elif left:
            arguments[parameter.name] = _value(ctx, row, parameter, left.pop(0))
        elif parameter.required:
            ctx.fail(f"{row.name!r} takes {row.args}, got {' '.join(words) or 'nothing'}")
    if left:
        ctx.fail(f"{row.name!r} takes {row.args or 'no arguments'}, got {' '.join(words)}")
    return arguments


def _value(ctx: click.Context, row: Command, parameter: Parameter, word: str) -> Any:
    if parameter.type == "integer":
        whole: Any = click.INT(word, None, ctx)
        return int(whole)
    if parameter.type == "switch":
        return click.BOOL.convert(word, None, ctx)
    return word
