"""`celery-rs worker`: check what was asked for, say what will run, run it."""

import importlib
import logging
import os
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from celery_rs.app import Celery
from celery_rs.cli.apps import named_app
from celery_rs.cli.banner import banner, task_list
from celery_rs.cli.find_app import describe_import_error
from celery_rs.cli.logging import set_up_logging
from celery_rs.cli.nodes import Node, node_named, path_for
from celery_rs.cli.options import (
    COMMA_SEPARATED,
    LOG_LEVEL,
    Seconds,
    ValueKind,
    exclude_queues_option,
    queues_option,
)
from celery_rs.cli.output import ExitCode, Failure, count_of, print_note
from celery_rs.cli.pidfile import holding
from celery_rs.worker import PoolName, Worker, WorkerOptions

logger = logging.getLogger("celery.worker")

_NOT_YET = {
    **dict.fromkeys(("-D", "--detach"), "run it under systemd or with `&`"),
    **dict.fromkeys(("-S", "--statedb"), "revoked ids are not kept"),
    **dict.fromkeys(("-E", "--task-events", "--events"), "no events are sent"),
    **dict.fromkeys(("-B", "--beat", "-s", "--schedule", "--schedule-filename", "--scheduler"), "there is no beat"),
    **dict.fromkeys(("--uid", "--gid", "--umask", "--executable"), "start it as that user instead"),
    "--autoscale": "choose a size with -c",
    "--disable-prefetch": "prefetching adapts by itself; see --prefetch-multiplier",
    "--heartbeat-interval": "no heartbeats are sent",
    "--max-memory-per-child": "see --max-tasks-per-child",
    "--pool-start-method": "children are always forked",
}
_POOLS: dict[str, PoolName] = {"prefork": "prefork", "processes": "prefork", "solo": "solo"}
_POOLS_NOT_YET = ("eventlet", "gevent", "threads", "custom")


class WorkerCommand(click.Command):
    """Refuses Celery's options that are not there yet by name, so that none is ever swallowed."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if error.option_name in _NOT_YET:
                raise click.UsageError(
                    f"{error.option_name} is not supported yet: {_NOT_YET[error.option_name]}", ctx
                ) from None
            raise


class Concurrency(ValueKind):
    """A number of processes, or `auto`: as many as this process may use processors."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if value == "auto":
            return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        try:
            number = int(value)
        except ValueError:
            number = -1
        if number < 0:
            self.fail(f"expected a number or 'auto', got {value!r}", param, ctx)
        return number


class PoolKind(ValueKind):
    """A pool that is there."""

    name = "pool"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> PoolName:
        if value in _POOLS_NOT_YET:
            self.fail(f"pool {value!r} is not supported yet; use prefork or solo", param, ctx)
        if value not in _POOLS:
            self.fail(f"expected prefork or solo, got {value!r}", param, ctx)
        return _POOLS[value]


def _node(ctx: click.Context, param: click.Parameter, value: str | None) -> Node:
    try:
        return node_named(value)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None


@click.command(
    cls=WorkerCommand,
    epilog="Celery's other options are refused by name: " + ", ".join(sorted(_NOT_YET, key=str.lower)) + ".",
)
@click.option(
    "-n", "--hostname", callback=_node, metavar="NAME", help="Node name; %h host, %n host without domain, %d domain."
)
@click.option("-l", "--loglevel", type=LOG_LEVEL, default="WARNING", help="DEBUG, INFO, WARNING, ERROR or CRITICAL.")
@click.option("-c", "--concurrency", type=Concurrency(), metavar="N|auto", help="Tasks that run at once.")
@click.option("-P", "--pool", type=PoolKind(), metavar="POOL", help="prefork or solo.")
@click.option("-O", "--optimization", type=click.Choice(["default", "fair"]), help="Accepted; always fair here.")
@queues_option
@exclude_queues_option
@click.option("-I", "--include", type=COMMA_SEPARATED, default=(), metavar="LIST", help="Import these modules as well.")
@click.option("--time-limit", type=Seconds(), metavar="SECONDS", help="Kill a task that runs longer.")
@click.option(
    "--soft-time-limit",
    type=Seconds(),
    metavar="SECONDS",
    help="Raise SoftTimeLimitExceeded in a task that runs longer.",
)
@click.option(
    "--max-tasks-per-child", type=click.IntRange(min=1), metavar="N", help="Replace a process after so many tasks."
)
@click.option(
    "--prefetch-multiplier",
    type=click.IntRange(min=0),
    metavar="N",
    help="Messages held per process; without it this adapts to the tasks, 0 is no bound.",
)
@click.option("--purge", "--discard", is_flag=True, help="Drop what waits in the queues first.")
@click.option("-f", "--logfile", metavar="PATH", help="Log there instead of to stderr; %n name, %h host, %p both.")
@click.option("--pidfile", metavar="PATH", help="Write the process id there; refuse to start if it is held.")
@click.option("--without-gossip", is_flag=True, help="Accepted; there is no gossip here.")
@click.option("--without-mingle", is_flag=True, help="Accepted; there is no mingle here.")
@click.option("--without-heartbeat", is_flag=True, help="Accepted; no heartbeats are sent here.")
@click.pass_context
def worker(
    ctx: click.Context,
    /,
    hostname: Node,
    loglevel: int,
    pool: PoolName | None,
    include: tuple[str, ...],
    purge: bool,
    logfile: str | None,
    pidfile: str | None,
    optimization: str | None,
    without_gossip: bool,
    without_mingle: bool,
    without_heartbeat: bool,
    **given: Any,
) -> None:
    """Run tasks."""
    soft, hard = given["soft_time_limit"], given["time_limit"]
    if soft is not None and hard is not None and soft > hard:
        raise click.UsageError(f"--soft-time-limit must not be above --time-limit, got {soft:g} and {hard:g}")
    app = named_app(ctx)
    options = WorkerOptions(
        hostname=str(hostname), pool=pool or _POOLS[app.conf["worker_pool"]], loglevel=loglevel, **given
    )
    _import_tasks(app, include)
    _refuse_pickle_as_root(app)
    _set_up_log(ctx, app, loglevel, _path(hostname, "--logfile", logfile))
    running = Worker(app, options)
    if not running.queues:
        raise click.UsageError("expected a queue to consume from, got none; see -Q and -X", ctx)
    with ExitStack() as held:
        if pidfile is not None:
            held.enter_context(holding(Path(_path(hostname, "--pidfile", pidfile) or "")))
        if purge:
            erased = sum(app.transport.purge(queue.name) for queue in running.queues)
            click.echo(f"purge: Erased {count_of(erased, 'message')} from the {_queues(running)}.\n")
        _warn(app)
        if not ctx.obj.quiet:
            _greet(app, running)
        code = running.run(ready=lambda: _say_ready(app, running))
    ctx.exit(code)


def _import_tasks(app: Celery, include: tuple[str, ...]) -> None:
    """Import the modules with tasks: those of the settings, and those of `-I`."""
    for name in (*app.conf["imports"], *app.conf["include"], *include):
        try:
            importlib.import_module(name)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - user code: it may raise anything, or call sys.exit()
            raise Failure(
                f"importing the task module {name!r} failed with {describe_import_error(error)}; correct that first",
                ExitCode.USAGE,
            ) from None


def _refuse_pickle_as_root(app: Celery) -> None:
    if _accepts_pickle(app) and _is_root() and not os.environ.get("C_FORCE_ROOT"):
        raise Failure(
            "accept_content has 'pickle' and this is root: whoever can write to the broker could take over this "
            "machine; run it as another user, or set C_FORCE_ROOT=1 if you must"
        )


def _warn(app: Celery) -> None:
    """Say what it means to run as root, and to accept pickle."""
    if _accepts_pickle(app):
        print_note(
            "Warning: accept_content has 'pickle': whoever can write to the broker can run any code in this worker"
        )
    if _is_root():
        print_note("Warning: running as root (uid 0): so does every task; better run it as a user of its own")


def _accepts_pickle(app: Celery) -> bool:
    return bool({"pickle", "application/x-python-serialize"} & set(app.conf["accept_content"]))


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def _set_up_log(ctx: click.Context, app: Celery, level: int, logfile: str | None) -> None:
    try:
        set_up_logging(app.conf, level, logfile, no_color=ctx.color is False)
    except OSError as error:
        raise Failure(f"--logfile {logfile} cannot be written: {error.strerror}", ExitCode.USAGE) from None


def _path(node: Node, option: str, path: str | None) -> str | None:
    try:
        return None if path is None else path_for(node, path)
    except ValueError as error:
        raise Failure(f"{option}: {error}", ExitCode.USAGE) from None


def _greet(app: Celery, running: Worker) -> None:
    text = banner(
        app,
        running.hostname,
        concurrency=1 if running.options.pool == "solo" else running.concurrency,
        pool=running.options.pool,
        queues=running.queues,
        now=datetime.now().astimezone(),
    )
    click.echo(text)
    if running.options.loglevel <= logging.INFO:
        click.echo(task_list(app.tasks, builtins=running.options.loglevel <= logging.DEBUG))


def _say_ready(app: Celery, running: Worker) -> None:
    logger.info("Connected to %s", app.transport.describe())
    logger.info("%s ready.", running.hostname)


def _queues(running: Worker) -> str:
    return "queue" if len(running.queues) == 1 else "queues"
