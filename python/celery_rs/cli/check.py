"""`celery-rs check`: what is wrong with an app, before a worker or a caller finds out.

It gathers facts; `check_rules` judges them. The app is imported, its tasks are, and running workers are asked for their
queues; nothing is sent and nothing is changed.
"""

import warnings
from collections.abc import Callable
from typing import Any

import click

from celery_rs.app import Celery
from celery_rs.cli.apps import named_app
from celery_rs.cli.check_rules import Facts, TaskFacts, judge
from celery_rs.cli.options import Seconds, json_option
from celery_rs.cli.output import ExitCode, count_of, print_json, print_note
from celery_rs.cli.task_modules import import_tasks
from celery_rs.errors import CeleryError, ImproperlyConfigured
from celery_rs.worker import policy_of


@click.command(epilog="Exit codes: 0 nothing found, 1 something found, 2 the app cannot be loaded.")
@click.option("--no-workers", is_flag=True, help="Do not ask running workers which queues they consume.")
@click.option(
    "-t", "--timeout", type=Seconds(not_zero=True), default=1.0, show_default=True, help="Seconds to wait for workers."
)
@json_option
@click.pass_context
def check(ctx: click.Context, /, no_workers: bool, timeout: float, as_json: bool) -> None:
    """Find mistakes in the settings, tasks and routes of the app."""
    with warnings.catch_warnings():
        # What they warn of is found again, with the line to change.
        warnings.simplefilter("ignore")
        app = named_app(ctx)
        facts = gather(app, lambda: {} if no_workers else _asked(app, timeout))
    findings = judge(facts)
    if as_json:
        print_json({"findings": [finding._asdict() for finding in findings], "workers": facts.workers})
    else:
        for finding in findings:
            click.echo(f"{click.style(finding.what, fg='red')}\n    {finding.change}")
        click.echo(f"{count_of(len(findings), 'finding')} in {count_of(len(facts.tasks), 'task')}.")
    ctx.exit(ExitCode.FAILURE if findings else ExitCode.OK)


def gather(app: Celery, asked: Callable[[], dict[str, list[str]]]) -> Facts:
    """All that the rules ask for. `asked` returns the queues of the workers that answer, by node."""
    try:
        settings = app.conf.without_defaults()
    except ImproperlyConfigured as error:
        return Facts(errors=[str(error)])
    known = Facts(
        settings,
        [(complaint.what, complaint.change) for complaint in app.conf.complaints],
        old_names=app.conf.deprecated_settings,
        failed_imports=import_tasks(app),
        results_off=app.backend_url is None or app.backend_url.startswith("disabled"),
        lease=app.conf.broker_transport_options.get("visibility_timeout"),
    )
    try:
        _ = app.transport, app.backend  # what cannot be opened at all says so here; nothing is connected
        app.finalize()
        tasks = [_task_facts(app, task) for name, task in app.tasks.items() if not name.startswith("celery.")]
        default = [queue.name for queue in app.queues()]
    except ImproperlyConfigured as error:
        return known._replace(errors=[str(error)])
    workers = asked()
    queues = sorted({queue for consumed in workers.values() for queue in consumed}) if workers else default
    return known._replace(tasks=tasks, queues=queues, workers=sorted(workers))


def _task_facts(app: Celery, task: Any) -> TaskFacts:
    policy = policy_of(task, app.conf)
    return TaskFacts(
        task.name,
        _queue_of(app, task),
        policy.soft_limit,
        policy.hard_limit,
        policy.late,
        policy.reject_on_worker_lost,
        wants_result=getattr(type(task), "ignore_result", None) is False,
    )


def _queue_of(app: Celery, task: Any) -> str | None:
    """The queue of a call without arguments; None where a route needs to see them, or leads to an exchange."""
    try:
        route = app.publisher.route_of(task.name)
    except Exception:  # noqa: BLE001 - routers are user code, made for calls with arguments
        return None
    if not route.exchange:
        return route.routing_key
    bound = [queue.name for queue in app.queues() if queue.exchange.name == route.exchange]
    return bound[0] if bound else None


def _asked(app: Celery, timeout: float) -> dict[str, list[str]]:
    """The queues of each worker that answers; nobody answers where the broker cannot be reached."""
    try:
        replies = app.control.inspect(timeout=timeout).active_queues() or {}
    except CeleryError as error:
        print_note(f"workers are not asked: {error}")
        return {}
    return {
        node: [queue["name"] for queue in reply if isinstance(queue, dict) and "name" in queue]
        for node, reply in replies.items()
        if isinstance(reply, list)
    }
