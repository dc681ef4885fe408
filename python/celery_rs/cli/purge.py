"""`celery-rs purge`: drop what waits in queues."""

import click

from celery_rs.cli.app_command import AppCommand
from celery_rs.cli.apps import any_app
from celery_rs.cli.options import exclude_queues_option, json_option, queues_option
from celery_rs.cli.output import count_of, print_json, progress


@click.command(cls=AppCommand)
@click.option("-f", "--force", is_flag=True, help="Do not ask.")
@queues_option
@exclude_queues_option
@json_option
@click.pass_context
def purge(
    ctx: click.Context, force: bool, queues: tuple[str, ...], exclude_queues: tuple[str, ...], as_json: bool
) -> None:
    """Drop every message that waits in the known queues.

    The queues are those of the app, or those of -Q. What workers hold already is not dropped. There is no undo.
    """
    app = any_app(ctx)
    configured = queues or tuple(queue.name for queue in app.queues())
    names = sorted(set(configured) - set(exclude_queues))
    if not names:
        raise click.UsageError("expected a queue to purge, got none; see -Q and -X")
    if not force:
        click.echo(
            f"WARNING: this removes all messages from {count_of(len(names), 'queue')} "
            f"({', '.join(names)}) on {app.transport.describe()}; there is no undo (-f skips this question).",
            err=True,
        )
        click.confirm("Are you sure you want to delete all tasks?", abort=True, err=True)
    purged = {}
    with progress("Purging", len(names), quiet=ctx.obj.quiet) as advance:
        for name in names:
            purged[name] = app.transport.purge(name)
            advance(1)
    total = sum(purged.values())
    if as_json:
        print_json({"purged": purged})
    elif total:
        click.echo(f"Purged {count_of(total, 'message')} from {count_of(len(names), 'known task queue')}.")
    else:
        click.echo(f"No messages purged from {count_of(len(names), 'queue')}.")
