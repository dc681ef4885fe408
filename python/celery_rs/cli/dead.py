"""`celery-rs dead`: messages that could not be run, kept with the reason until somebody decides."""

import json
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import click

from celery_rs.app import Celery
from celery_rs.cli.app_command import AppCommand
from celery_rs.cli.apps import any_app
from celery_rs.cli.commands import CommandGroup
from celery_rs.cli.options import FlagNamed, Seconds, json_option
from celery_rs.cli.output import Failure, count_of, print_json, print_table
from celery_rs.transports import DeadLetter

_PAGE = 100

_queue_option = click.option("-Q", "--queue", metavar="NAME", help="Those that came from this queue only.")


@click.group(cls=CommandGroup)
def dead() -> None:
    """Look after messages that could not be run.

    A message becomes a dead letter when no worker can read it or knows its task, when it killed its process too
    often, or when the task rejects it.
    """


@dead.command("list", cls=AppCommand)
@_queue_option
@click.option("-n", "--limit", type=click.IntRange(min=1), metavar="N", help="The oldest N only.")
@json_option
@click.pass_context
def list_letters(ctx: click.Context, queue: str | None, limit: int | None, as_json: bool) -> None:
    """List dead letters, oldest first."""
    app = any_app(ctx)
    letters = list(_letters(app, queue, limit))
    if as_json:
        print_json([_document(letter) for letter in letters])
    elif letters:
        rows = [
            (letter.id, letter.queue, letter.task or "?", letter.task_id or "?", letter.reason, _time(letter.died_at))
            for letter in letters
        ]
        print_table(("Id", "Queue", "Task", "Task id", "Reason", "When"), rows)
    elif not ctx.obj.quiet:
        click.echo(f"No dead letters in {app.transport.describe()}.")


@dead.command(cls=AppCommand)
@click.argument("id")
@json_option
@click.pass_context
def show(ctx: click.Context, id: str, as_json: bool) -> None:
    """Show all that is known of the dead letter ID."""
    letter = _letter(any_app(ctx), id)
    if as_json:
        print_json(_document(letter) | {"message": _message(letter)})
        return
    for name, value in _document(letter).items():
        click.echo(f"{click.style(f'{name}:'.ljust(12), bold=True)} {value}")
    message = _message(letter)
    click.echo(message if isinstance(message, str) else json.dumps(message, indent=4, ensure_ascii=False))


@dead.command(cls=AppCommand)
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--all", "everything", cls=FlagNamed, is_flag=True, help="All of them, or with -Q those of a queue.")
@_queue_option
@json_option
@click.pass_context
def retry(ctx: click.Context, ids: tuple[str, ...], everything: bool, queue: str | None, as_json: bool) -> None:
    """Put dead letters back at the end of their queues."""
    if bool(ids) == everything or (queue is not None and not everything):
        raise click.UsageError(
            "expected ids of dead letters, or --all (with -Q, of a queue); see `celery-rs dead list`"
        )
    app = any_app(ctx)
    chosen = [letter.id for letter in _letters(app, queue, None)] if everything else list(ids)
    for id in ids:
        _letter(app, id)  # one that is not there is told before anything moves
    moved = app.transport.dead.retry(chosen)
    if as_json:
        print_json({"retried": moved})
    else:
        click.echo(f"{count_of(moved, 'message')} went back to the queue." if moved else "No dead letters to retry.")


@dead.command(cls=AppCommand)
@click.option("-f", "--force", is_flag=True, help="Do not ask.")
@click.option("--older-than", type=Seconds(), metavar="SECONDS", help="Those that died longer ago only.")
@json_option
@click.pass_context
def purge(ctx: click.Context, force: bool, older_than: float | None, as_json: bool) -> None:
    """Delete dead letters. There is no undo."""
    app = any_app(ctx)
    if not force:
        which = "all dead letters" if older_than is None else f"the dead letters older than {older_than:g} s"
        click.echo(f"WARNING: this deletes {which} of {app.transport.describe()} (-f skips this question).", err=True)
        click.confirm("Are you sure?", abort=True, err=True)
    gone = app.transport.dead.purge(None if older_than is None else time.time() - older_than)
    if as_json:
        print_json({"deleted": gone})
    else:
        click.echo(f"Deleted {count_of(gone, 'dead letter')}." if gone else "No dead letters to delete.")


def _letters(app: Celery, queue: str | None, limit: int | None) -> Iterator[DeadLetter]:
    after: str | None = None
    left = limit
    while left is None or left > 0:
        page = app.transport.dead.page(queue, after, _PAGE if left is None else min(_PAGE, left))
        yield from page.letters
        if page.after is None:
            return
        after = page.after
        left = None if left is None else left - len(page.letters)


def _letter(app: Celery, id: str) -> DeadLetter:
    try:
        return app.transport.dead.get(id)
    except (KeyError, ValueError):
        raise Failure(f"no dead letter {id!r} in {app.transport.describe()}; see `celery-rs dead list`") from None


def _document(letter: DeadLetter) -> dict[str, Any]:
    return {
        "id": letter.id,
        "queue": letter.queue,
        "task": letter.task,
        "task_id": letter.task_id,
        "reason": letter.reason,
        "detail": letter.detail,
        "crashes": letter.crashes,
        "deliveries": letter.deliveries,
        "died_at": datetime.fromtimestamp(letter.died_at).astimezone().isoformat(),
    }


def _message(letter: DeadLetter) -> Any:
    """The envelope as data; as text where it is no JSON, since that may be why it is here."""
    try:
        return json.loads(letter.envelope)
    except (ValueError, RecursionError):
        return letter.envelope.decode("utf-8", "replace")


def _time(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds).astimezone():%Y-%m-%d %H:%M:%S}"
