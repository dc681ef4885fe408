"""`celery-rs status`: who is there."""

import click

from celery_rs.cli.app_command import AppCommand
from celery_rs.cli.apps import any_app
from celery_rs.cli.options import asking_options
from celery_rs.cli.output import count_of, print_json
from celery_rs.cli.remote import end, gather


@click.command(cls=AppCommand)
@asking_options
@click.pass_context
def status(ctx: click.Context, timeout: float, destination: tuple[str, ...], as_json: bool) -> None:
    """Show which workers answer.

    The exit code is 69 when none does, or when one named by -d does not.
    """
    replies = gather(any_app(ctx), "ping", {}, timeout=timeout, destination=destination)
    if as_json:
        print_json(dict(sorted(replies.items())))
    else:
        for node in sorted(replies):
            click.echo(f"{click.style(node, bold=True)}: {click.style('OK', fg='green')}")
        if not ctx.obj.quiet:
            click.echo(f"\n{count_of(len(replies), 'node')} online.")
    end(ctx, replies, destination, timeout)
