"""`celery-rs result`: wait for a task's result and print it."""

from typing import Any

import click

from celery_rs import states
from celery_rs.app import Celery
from celery_rs.cli.apps import any_app
from celery_rs.cli.options import Seconds
from celery_rs.cli.output import ExitCode, Failure, print_error
from celery_rs.errors import NotSupported
from celery_rs.errors import TimeoutError as ResultTimeout


@click.command()
@click.argument("task_id", metavar="ID")
@click.option("-t", "--task", metavar="NAME", help="The task's name; accepted for Celery's sake, the id is enough.")
@click.option("--traceback", is_flag=True, help="Print the traceback of a task that failed instead of its result.")
@click.option(
    "--timeout",
    type=Seconds(),
    metavar="SECONDS",
    help="Give up after so long; without it, wait as long as the task is known.",
)
@click.pass_context
def result(ctx: click.Context, task_id: str, task: str | None, traceback: bool, timeout: float | None) -> None:
    """Print the result of the task ID, waiting for it if need be."""
    app = any_app(ctx)
    pending = app.AsyncResult(task_id)
    if not pending.ready() and timeout != 0:
        _refuse_unknown(app, task_id, timeout)
    try:
        value: Any = pending.get(timeout=timeout, propagate=False)
    except ResultTimeout:
        raise Failure(f"no result of {task_id} within {timeout:g} s; its state is {pending.state}") from None
    if traceback:
        click.echo(pending.traceback or "", nl=False)
    elif pending.state == states.SUCCESS:
        click.echo(str(value))
    if pending.state in states.PROPAGATE_STATES:
        print_error(f"task {task_id} ended in {pending.state} with {value!r}")
        ctx.exit(ExitCode.FAILURE)


def _refuse_unknown(app: Celery, task_id: str, timeout: float | None) -> None:
    """Do not wait for ever for a task that neither the result store nor the broker has heard of."""
    if timeout is not None:
        return
    try:
        known = app.transport.find(task_id) is not None
    except NotSupported:
        return  # this broker cannot tell
    # Asked again: it may have ended between the two looks.
    if not known and app.AsyncResult(task_id).state == states.PENDING:
        raise Failure(
            f"no task {task_id!r} in {app.backend.describe()} or {app.transport.describe()}; check the id "
            "(or it ignores its result, or the result has expired)"
        )
