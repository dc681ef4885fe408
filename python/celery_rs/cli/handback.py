"""`celery-rs handback`: leave a broker to Celery's own workers."""

import click

from celery_rs.app import Celery
from celery_rs.cli.app_command import AppCommand
from celery_rs.cli.apps import any_app
from celery_rs.cli.options import FlagNamed, json_option
from celery_rs.cli.output import Failure, count_of, print_json
from celery_rs.control import REVOKED


@click.command(cls=AppCommand)
@click.option("--dead", cls=FlagNamed, is_flag=True, help="Dead letters too; they run again.")
@json_option
@click.pass_context
def handback(ctx: click.Context, dead: bool, as_json: bool) -> None:
    """Return what only workers of celery-rs know of to plain queues.

    Deferred messages, and those that dead workers held, go to their queues, where Celery's workers find them. What was
    revoked is told to the workers that run. Stop all workers of celery-rs first. The exit code is 0 only when nothing
    of ours holds a task any more.
    """
    app = any_app(ctx)
    revoked = _tell_revoked(app)
    done = app.read_transport.hand_back(dead=dead)
    if as_json:
        counts = {"deferred": done.deferred, "held": done.held, "dead": done.dead, "left": done.left}
        print_json(counts | {"revoked": revoked})
    else:
        click.echo(
            f"Handed back {count_of(done.deferred, 'deferred message')}, {count_of(done.held, 'held one')} and "
            f"{count_of(done.dead, 'dead letter')}; told workers of {count_of(revoked, 'revoked task')}."
        )
    if done.left:
        raise Failure(
            f"{count_of(done.left, 'dead letter')} stay: run them again with `handback --dead`, look at them with "
            "`celery-rs dead list`, or drop them with `celery-rs dead purge`"
        )


def _tell_revoked(app: Celery) -> int:
    """A fact is ours alone: whoever runs now keeps it in memory, as Celery's workers do."""
    if not app.read_transport.features.facts:
        return 0
    _, facts = app.read_transport.facts.since(0)
    ids = [fact.key for fact in facts if fact.kind == REVOKED and fact.value is not None]
    if ids:
        app.control.broadcast("revoke", arguments={"task_id": ids})
    return len(ids)
