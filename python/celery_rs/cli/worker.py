"""`celery-rs worker`: check what was asked for, say what will run, run it."""

import gc
import logging
import os
import sys
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from celery_rs.app import Celery
from celery_rs.cli.app_command import added_values
from celery_rs.cli.apps import named_app
from celery_rs.cli.banner import banner, task_list
from celery_rs.cli.daemon import Daemon, daemon_of, daemon_options, take_place
from celery_rs.cli.daemon_command import DaemonCommand, launch_of, replace_python, stay
from celery_rs.cli.find_app import describe_import_error
from celery_rs.cli.groups import grouped, refused
from celery_rs.cli.nodes import Node, node_named
from celery_rs.cli.notify import tell_ready
from celery_rs.cli.options import COMMA_SEPARATED, LOG_LEVEL, Seconds, ValueKind
from celery_rs.cli.output import ExitCode, Failure, count_of, print_note
from celery_rs.cli.pidfile import holding
from celery_rs.cli.root import refuse_pickle_as_root, warn_of_risks
from celery_rs.cli.worker_files import WorkerLog, checked, path_of
from celery_rs.errors import OperationalError
from celery_rs.worker import PoolName, Worker, WorkerOptions, usable_processors

_POOLS: dict[str, PoolName] = {"prefork": "prefork", "processes": "prefork", "solo": "solo"}
_POOLS_NOT_YET = ("eventlet", "gevent", "threads", "custom")
_NO_BEAT = "there is no scheduler yet; start periodic tasks from cron or a systemd timer with `celery-rs call`"


class WorkerCommand(DaemonCommand):
    """Takes the options that the app adds for its workers, too."""

    kinds = ("preload", "worker")


class Concurrency(ValueKind):
    """A number of processes, or `auto`: as many as this process may use processors."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if str(value).strip().lower() == "auto":
            return usable_processors()
        try:
            number = int(value)
        except ValueError:
            number = -1
        if number < 0:
            self.fail(f"expected a number or 'auto', got {value!r}", param, ctx)
        return number


class Autoscale(ValueKind):
    """`MAX[,MIN]`, in any order; without MIN it is 0."""

    name = "numbers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        words = [word.strip() for word in value.split(",")]
        if len(words) > 2 or not all(word.isdecimal() for word in words):
            self.fail(f"expected MAX or MAX,MIN such as 10,3, got {value!r}", param, ctx)
        least, most = sorted([0, *map(int, words)])[-2:]
        if not most:
            self.fail(f"expected room for at least 1 process, got {value!r}", param, ctx)
        return most, least


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


def _start_method(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value not in (None, "fork"):
        problem = "is not supported yet" if value == "spawn" else "is none; expected fork"
        raise click.BadParameter(f"{value!r} {problem}: children are forked from a clean process", ctx, param)


_worker = grouped("Worker")
_pool = grouped("Pool")
_queue = grouped("Queue")
_feature = grouped("Feature")


@click.command(
    cls=WorkerCommand,
    epilog="Words after the options are settings: `worker.prefetch_multiplier=1`, or `.prefetch_multiplier=1` for "
    "short; `(int)worker.prefetch_multiplier=1` says what kind of value it is.",
)
@_worker(
    "-n", "--hostname", callback=_node, metavar="NAME", help="Node name; %h host, %n host without domain, %d domain."
)
@_worker(
    "-D", "--detach", is_flag=True, help="Run in the background; returns when the worker is ready, or says why not."
)
@_worker("-S", "--statedb", metavar="PATH", help="Keep revoked task ids in this file.")
@_worker("-l", "--loglevel", type=LOG_LEVEL, default="WARNING", help="DEBUG, INFO, WARNING, ERROR, CRITICAL or FATAL.")
@_worker("-O", "--optimization", type=click.Choice(["default", "fair"]), help="Accepted; always fair here.")
@_worker(
    "--prefetch-multiplier",
    type=click.IntRange(min=0),
    metavar="N",
    help="Messages held per process; without it this adapts to the tasks, 0 is no bound.",
)
@_worker("--disable-prefetch", is_flag=True, default=None, help="Receive a message only when a process is free.")
@_pool("-c", "--concurrency", type=Concurrency(), metavar="N|auto", help="Tasks that run at once.")
@_pool("-P", "--pool", type=PoolKind(), metavar="POOL", help="prefork or solo.")
@_pool("--time-limit", type=Seconds(), metavar="SECONDS", help="Kill a task that runs longer.")
@_pool(
    "--soft-time-limit",
    type=Seconds(),
    metavar="SECONDS",
    help="Raise SoftTimeLimitExceeded in a task that runs longer.",
)
@_pool("--max-tasks-per-child", type=click.IntRange(min=1), metavar="N", help="Replace a process after so many tasks.")
@_pool(
    "--max-memory-per-child",
    type=click.IntRange(min=1),
    metavar="KIB",
    help="Replace a process that has more memory than this after a task.",
)
@_pool(
    "--pool-start-method",
    callback=_start_method,
    expose_value=False,
    metavar="METHOD",
    help="fork; spawn is refused.",
)
@_queue("--purge", "--discard", is_flag=True, help="Drop what waits in the queues first.")
@_queue("-Q", "--queues", type=COMMA_SEPARATED, default=(), metavar="LIST", help="These queues, separated by commas.")
@_queue("-X", "--exclude-queues", type=COMMA_SEPARATED, default=(), metavar="LIST", help="All queues but these.")
@_queue("-I", "--include", type=COMMA_SEPARATED, default=(), metavar="LIST", help="Import these modules as well.")
@_feature("--without-gossip", is_flag=True, expose_value=False, help="Accepted; there is no gossip here.")
@_feature("--without-mingle", is_flag=True, expose_value=False, help="Accepted; there is no mingle here.")
@_feature("--without-heartbeat", is_flag=True, help="Send no worker-online, -heartbeat and -offline events.")
@_feature(
    "--heartbeat-interval",
    type=Seconds(not_zero=True),
    metavar="SECONDS",
    help="Send a heartbeat every so many seconds; 2 without it.",
)
@_feature("-E", "--task-events", "--events", is_flag=True, default=None, help="Send events of tasks, for monitors.")
@_feature(
    "--autoscale",
    type=Autoscale(),
    metavar="MAX[,MIN]",
    help="As many processes as there is work for, within these bounds.",
)
@daemon_options
@refused("-B", "--beat", is_flag=True, why=_NO_BEAT)
@refused("-s", "--schedule-filename", "--schedule", why=_NO_BEAT)
@refused("--scheduler", why=_NO_BEAT)
@click.argument("settings", nargs=-1, metavar="[NAME=VALUE]...")
@click.pass_context
def worker(
    ctx: click.Context,
    /,
    hostname: Node,
    detach: bool,
    statedb: str | None,
    loglevel: int,
    optimization: str | None,
    pool: PoolName | None,
    purge: bool,
    include: tuple[str, ...],
    settings: tuple[str, ...],
    logfile: str | None,
    pidfile: str | None,
    uid: str | None,
    gid: str | None,
    umask: str | None,
    executable: str | None,
    **given: Any,
) -> None:
    """Run tasks."""
    soft, hard = given["soft_time_limit"], given["time_limit"]
    if soft is not None and hard is not None and soft > hard:
        raise click.UsageError(f"--soft-time-limit must not be above --time-limit, got {soft:g} and {hard:g}")
    app = named_app(ctx)
    _configure(ctx, app, settings)
    daemon = daemon_of(ctx.params, app.conf)
    take_place(daemon)
    if daemon.executable is not None:
        replace_python(ctx, daemon.executable, daemon.called["executable"])
    log = WorkerLog(app, hostname, loglevel, daemon, colorize=False if ctx.color is False else None)
    _import_tasks(app, include)
    refuse_pickle_as_root(app)
    running = Worker(
        app,
        WorkerOptions(
            hostname=str(hostname),
            pool=pool or _POOLS[app.conf["worker_pool"]],
            loglevel=loglevel,
            on_child=log.in_child,
            statedb=_statedb(app, hostname, statedb),
            added=added_values(ctx, "worker"),
            **given,
        ),
    )
    log.set_up()
    if not running.queues:
        raise click.UsageError("expected a queue to consume from, got none; see -Q and -X", ctx)
    with ExitStack() as held:
        if daemon.pidfile is not None:
            called = daemon.called["pidfile"]
            held.enter_context(holding(Path(path_of(hostname, called, daemon.pidfile)), called))
        if purge:
            erased = sum(app.transport.purge(queue.name) for queue in running.queues)
            click.echo(f"purge: Erased {count_of(erased, 'message')} from the {_queues(running)}.\n")
        warn_of_risks(app)
        _warn_of_old_names(app)
        if not ctx.obj.quiet and not launch_of(ctx).is_detached:
            _greet(app, running)
        held.enter_context(log.of_what_is_printed())
        # What the collector looks at it writes to, and so makes its own copy of every page shared with the children.
        gc.freeze()
        code = running.run(
            ready=lambda: _say_ready(ctx, running, daemon),
            unconnected=lambda error: _say_unconnected(ctx, running, error),
        )
    stay(ctx)
    ctx.exit(code)


def _configure(ctx: click.Context, app: Celery, words: tuple[str, ...]) -> None:
    """Take the words after the options as settings."""
    for word in words:
        if "=" not in word:
            raise click.UsageError(
                f"expected settings such as worker.prefetch_multiplier=1 after the options, got {word!r}", ctx
            )
    if words:
        app.config_from_cmdline(words, namespace="worker")


def _import_tasks(app: Celery, include: tuple[str, ...]) -> None:
    """Import the modules with tasks: those of the settings, and those of `-I`."""
    if include:
        app.conf.include = (*app.conf["include"], *include)
    try:
        app.loader.init_worker()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - user code: it may raise anything, or call sys.exit()
        module = app.loader.importing
        raise Failure(
            f"importing the task module{f' {module!r}' if module else 's'} failed with {describe_import_error(error)}; "
            "correct that first",
            ExitCode.USAGE,
        ) from None


def _statedb(app: Celery, node: Node, given: str | None) -> str | None:
    path = given or app.conf["worker_state_db"]
    if path is None:
        return None
    called = "--statedb" if given else "worker_state_db"
    return checked(path_of(node, called, path), called)


def _greet(app: Celery, running: Worker) -> None:
    options = running.options
    text = banner(
        app,
        running.hostname,
        concurrency=1 if options.pool == "solo" else running.concurrency,
        autoscale=options.autoscale,
        pool=options.pool,
        queues=running.queues,
        now=datetime.now().astimezone(),
        task_events=bool(app.conf["worker_send_task_events"] if options.task_events is None else options.task_events),
    )
    click.echo(text)
    if options.loglevel <= logging.INFO:
        click.echo(task_list(app.tasks, builtins=options.loglevel <= logging.DEBUG))


def _say_ready(ctx: click.Context, running: Worker, daemon: Daemon) -> None:
    tell_ready(f"{running.hostname} ready")
    where = "" if daemon.logfile else "; it has no --logfile, so what it logs is lost"
    line = f"{running.hostname} is running in the background (pid {os.getpid()}){where}"
    launch_of(ctx).ready("" if ctx.obj.quiet else line)


def _say_unconnected(ctx: click.Context, running: Worker, error: OperationalError) -> None:
    """Keep nobody waiting for a worker in the background that may have to wait for its broker for hours."""
    launch = launch_of(ctx)
    if launch.is_detached:
        # Past the log, which takes what is printed; and to stderr, which multi shows.
        line = f"{running.hostname} is in the background (pid {os.getpid()}), and tries again to reach its broker"
        click.echo(f"Warning: {line}: {error}", file=sys.__stderr__)
        launch.ready("")


def _warn_of_old_names(app: Celery) -> None:
    names = app.conf.deprecated_settings
    if names:
        print_note(
            f"Warning: names of settings from before Celery 4: {', '.join(names)}; Celery 6 will not read them: "
            "`celery-rs upgrade settings FILE` renames them"
        )


def _queues(running: Worker) -> str:
    return "queue" if len(running.queues) == 1 else "queues"
