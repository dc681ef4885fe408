"""`celery-rs result`: wait for a task's result and print it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from celery_rs import states
from celery_rs.app import Celery
from celery_rs.backends import is_rpc
from celery_rs.cli import commands
from celery_rs.cli.app_command import AppCommand
from celery_rs.cli.apps import any_app, names_an_app
from celery_rs.cli.options import Seconds, json_option
from celery_rs.cli.output import ExitCode, Failure, on_terminal, print_error, print_json
from celery_rs.cli.suggestions import suggest_tasks
from celery_rs.cli.task_modules import know_tasks
from celery_rs.errors import NotSupported
from celery_rs.errors import TimeoutError as ResultTimeout
from celery_rs.results import AsyncResult
from celery_rs.wire import instant

NOTICE_S = 1.0
"""How often somebody at a terminal is told what is waited for."""


@click.command(cls=AppCommand)
@click.argument("task_id", metavar="ID")
@click.option(
    "-t", "--task", metavar="NAME", shell_complete=suggest_tasks, help="The task's name: read from where it keeps them."
)
@click.option("--traceback", is_flag=True, help="Print the traceback of a task that failed instead of its result.")
@click.option(
    "--timeout",
    type=Seconds(),
    metavar="SECONDS",
    help="Give up after so long; without it, wait as long as the task is known.",
)
@json_option
@click.pass_context
def result(
    ctx: click.Context, task_id: str, task: str | None, traceback: bool, timeout: float | None, as_json: bool
) -> None:
    """Print the result of the task ID, waiting for it if need be.

    On a terminal it says what is waited for. A task that failed is told in one line, and the exit code is 1.
    """
    app = any_app(ctx)
    if is_rpc(app.backend_url):
        raise Failure(
            "results of rpc:// come to the process that called and to no other; "
            "name a store that keeps them, for example result_backend = 'sqlite:///results.sqlite3'"
        )
    pending = _handle(ctx, app, task_id, task)
    watched = on_terminal(quiet=ctx.obj.quiet)
    if timeout is None and not pending.ready():
        _refuse_unknown(app, pending, watched=watched or ctx.obj.quiet)
    try:
        value = _wait(app, pending, timeout, watched=watched)
    except ResultTimeout:
        now = f"its state is {pending.state}{_whereabouts(app, task_id)}"
        raise Failure(f"no result of {task_id} within {timeout or 0:g} s; {now}") from None
    failed = pending.state in states.PROPAGATE_STATES
    if as_json:
        print_json(_document(pending, value, failed=failed))
    elif traceback:
        click.echo(pending.traceback or "", nl=False)
    elif not failed:
        click.echo(str(value))
    if failed:
        print_error(f"task {task_id} ended in {pending.state} with {value!r}")
        ctx.exit(ExitCode.FAILURE)


def _handle(ctx: click.Context, app: Celery, task_id: str, name: str | None) -> AsyncResult[Any]:
    if name is None or not names_an_app(ctx):
        return app.AsyncResult(task_id)
    know_tasks(app)
    task = app.tasks.get(name)
    if task is None:
        raise click.UsageError(f"no task {name!r} in this app; {commands.hint(name, app.tasks)}")
    handle: AsyncResult[Any] = task.AsyncResult(task_id)
    return handle


def _document(pending: AsyncResult[Any], value: Any, *, failed: bool) -> dict[str, Any]:
    return {
        "id": pending.id,
        "state": pending.state,
        "result": None if failed else value,
        "error": repr(value) if failed else None,
        "traceback": pending.traceback,
    }


def _wait(app: Celery, pending: AsyncResult[Any], timeout: float | None, *, watched: bool) -> Any:
    """The value, or the exception. Who watches is told each second what is waited for. Raises errors.TimeoutError."""
    if not watched:
        return pending.get(timeout=timeout, propagate=False)
    began = time.monotonic()
    with _one_line() as say:
        while True:
            passed = time.monotonic() - began
            left = NOTICE_S if timeout is None else min(NOTICE_S, timeout - passed)
            try:
                return pending.get(timeout=max(0.0, left), propagate=False)
            except ResultTimeout:
                passed = time.monotonic() - began
                if timeout is not None and passed >= timeout:
                    raise
                say(f"waiting for {pending.id}{_whereabouts(app, pending.id)}: {passed:.0f} s (Ctrl+C to stop)")


@contextmanager
def _one_line() -> Iterator[Any]:
    """A line of the terminal that is written over, and gone at the end."""
    written = False

    def say(text: str) -> None:
        nonlocal written
        written = True
        click.echo(f"\r\x1b[K{text}", err=True, nl=False, color=True)

    try:
        yield say
    finally:
        if written:
            click.echo("\r\x1b[K", err=True, nl=False, color=True)


def _whereabouts(app: Celery, task_id: str) -> str:
    """Where its message is, as the end of a sentence; nothing where the broker cannot tell."""
    try:
        found = app.transport.find(task_id)
    except NotSupported:
        return ""
    if found is None:
        return ", and it is in no queue"
    if found.state == "dead":
        return ", a dead letter: see `celery-rs dead list`"
    if found.state == "ready":
        return f", waiting in queue {found.queue!r} for a worker"
    if found.due is not None:
        return f", delayed in queue {found.queue!r} until {instant(found.due).astimezone():%x %X}"
    return f", taken from queue {found.queue!r} by a worker"


def _refuse_unknown(app: Celery, pending: AsyncResult[Any], *, watched: bool) -> None:
    """Do not wait for ever for a task that neither the result store nor the broker has heard of.

    Where the broker cannot tell, who does not watch is told once what is waited for.
    """
    try:
        known = app.transport.find(pending.id) is not None
    except NotSupported:
        if not watched:
            click.echo(
                f"waiting for {pending.id}, of which {app.backend.describe()} has no result and this broker cannot say "
                "whether it is there; --timeout ends the wait",
                err=True,
            )
        return
    # Asked again: it may have ended between the two looks.
    if not known and pending.state == states.PENDING:
        places = dict.fromkeys((app.backend.describe(), app.transport.describe()))
        raise Failure(
            f"no task {pending.id!r} in {' or '.join(places)}; check the id "
            "(or it ignores its result, or the result has expired)"
        )
