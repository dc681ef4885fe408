"""`celery-rs call`: send a task by name and print its id."""

from datetime import datetime
from math import inf
from typing import Any

import click

from celery_rs.app import Celery
from celery_rs.cli.app_command import AppCommand
from celery_rs.cli.apps import any_app
from celery_rs.cli.options import JsonValue, Moment, Seconds, json_option
from celery_rs.cli.output import print_json
from celery_rs.cli.suggestions import suggest_tasks


@click.command(cls=AppCommand)
@click.argument("name", shell_complete=suggest_tasks)
@click.option("-a", "--args", type=JsonValue(list, "'[2, 2]'"), default="[]", help="Positional arguments, a JSON list.")
@click.option(
    "-k", "--kwargs", type=JsonValue(dict, """'{"x": 2}'"""), default="{}", help="Keyword arguments, a JSON object."
)
@click.option("--eta", type=Moment(), metavar="TIME", help="Start at this time (ISO 8601).")
@click.option("--countdown", type=Seconds(least=-inf), metavar="SECONDS", help="Start so many seconds from now.")
@click.option(
    "--expires", type=Moment(or_seconds=True), metavar="TIME", help="Do not start later: seconds from now, or ISO 8601."
)
@click.option("--serializer", metavar="NAME", help="Write the arguments with this serializer; default task_serializer.")
@click.option("--queue", metavar="NAME", help="Send to this queue.")
@click.option("--exchange", metavar="NAME", help="Send to this exchange.")
@click.option("--routing-key", metavar="KEY", help="Send with this routing key.")
@json_option
@click.pass_context
def call(
    ctx: click.Context,
    /,
    name: str,
    args: list[Any],
    kwargs: dict[str, Any],
    eta: datetime | None,
    countdown: float | None,
    expires: datetime | float | None,
    as_json: bool,
    **routing: str | None,
) -> None:
    """Send the task NAME and print its id."""
    if eta is not None and countdown is not None:
        raise click.UsageError("expected --eta or --countdown, got both; leave one out")
    times = {"eta": eta, "countdown": countdown, "expires": expires}
    options: dict[str, Any] = {name: value for name, value in {**times, **routing}.items() if value is not None}
    app = any_app(ctx)
    try:
        _check_arguments(app, name, args, kwargs)
        sent = app.send_task(name, args, kwargs, **options)
    except (TypeError, ValueError) as error:  # an option or argument that makes no sense
        raise click.UsageError(str(error)) from None
    if as_json:
        print_json({"id": sent.id, "task": name})
    else:
        click.echo(sent.id)


def _check_arguments(app: Celery, name: str, args: list[Any], kwargs: dict[str, Any]) -> None:
    """As `delay` does, where the app has that task: the worker's refusal would come too late for whoever types this."""
    app.finalize()
    task = app.tasks.get(name)
    if task is None or not task.typing:
        return
    try:
        task.check_arguments(args, kwargs)
    except TypeError as error:
        raise click.UsageError(f"the task {name!r} does not take these arguments: {error}; see -a and -k") from None
