"""`celery-rs call`: send a task by name and print its id."""

from datetime import datetime
from typing import Any

import click

from celery_rs.cli.apps import any_app
from celery_rs.cli.options import JsonValue, Moment


@click.command()
@click.argument("name")
@click.option("-a", "--args", type=JsonValue(list, "'[2, 2]'"), default="[]", help="Positional arguments, a JSON list.")
@click.option(
    "-k", "--kwargs", type=JsonValue(dict, """'{"x": 2}'"""), default="{}", help="Keyword arguments, a JSON object."
)
@click.option("--eta", type=Moment(), metavar="TIME", help="Start at this time (ISO 8601).")
@click.option("--countdown", type=float, metavar="SECONDS", help="Start so many seconds from now.")
@click.option(
    "--expires", type=Moment(or_seconds=True), metavar="TIME", help="Do not start later: seconds from now, or ISO 8601."
)
@click.option("--serializer", metavar="NAME", help="The arguments' serializer.")
@click.option("--queue", metavar="NAME", help="Send to this queue.")
@click.option("--exchange", metavar="NAME", help="Send to this exchange.")
@click.option("--routing-key", metavar="KEY", help="Send with this routing key.")
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
    **routing: str | None,
) -> None:
    """Send the task NAME and print its id."""
    if eta is not None and countdown is not None:
        raise click.UsageError("expected --eta or --countdown, got both; leave one out")
    times = {"eta": eta, "countdown": countdown, "expires": expires}
    options: dict[str, Any] = {name: value for name, value in {**times, **routing}.items() if value is not None}
    app = any_app(ctx)
    try:
        sent = app.send_task(name, args, kwargs, **options)
    except (TypeError, ValueError) as error:  # an option or argument that makes no sense
        raise click.UsageError(str(error)) from None
    click.echo(sent.id)
