"""The reference pages, made from the code: `make docs-reference`.

A test compares the committed pages with what this makes, so a setting, option, signal or exception cannot change
without its line in the documentation.
"""

import inspect
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import click

from celery_rs import errors, signals
from celery_rs.cli import cli
from celery_rs.config import GROUPS, NOT_YET, REFUSED, SETTINGS, WORKS, Setting

REFERENCE = Path(__file__).with_name("reference")
_MADE = "<!-- Made by `make docs-reference` from {source}. Change that, not this page. -->\n"
_MOMENTS = {
    "before_task_publish": ("before a message is sent", "the caller"),
    "after_task_publish": ("after the broker has taken it", "the caller"),
    "task_received": ("a message has arrived", "the worker"),
    "task_revoked": ("a revoked task was dropped or ended", "the worker"),
    "task_rejected": ("a message cannot be read, or its task rejected it", "the worker"),
    "task_unknown": ("a message names a task that is not registered", "the worker"),
    "task_prerun": ("before the task runs", "the task's process"),
    "task_postrun": ("after it has run, however it ended", "the task's process"),
    "task_success": ("it returned", "the task's process"),
    "task_retry": ("it is to run again", "the task's process"),
    "task_failure": ("it failed", "the task's process"),
    "task_internal_error": ("the worker itself failed while running it", "the task's process"),
    "import_modules": ("the modules with tasks are imported", "the worker"),
    "celeryd_init": ("first of all, before the settings are used", "the worker"),
    "celeryd_after_setup": ("the worker is set up; logging works", "the worker"),
    "worker_init": ("before the worker starts", "the worker"),
    "worker_before_create_process": ("before a process for tasks is forked", "the worker"),
    "worker_process_init": ("such a process has started", "the task's process"),
    "worker_process_shutdown": ("such a process is about to end", "the task's process"),
    "worker_ready": ("the worker takes tasks", "the worker"),
    "worker_shutting_down": ("a shutdown was asked for", "the worker"),
    "worker_shutdown": ("the worker is about to end", "the worker"),
    "heartbeat_sent": ("it tells monitors that it is there, still there, or about to go", "the worker"),
    "setup_logging": ("before logging is set up; a receiver replaces it", "the worker"),
    "after_setup_logger": ("logging is set up", "the worker"),
    "after_setup_task_logger": ("the logging of tasks is set up", "the worker"),
    "user_preload_options": ("the command line has been read", "any command"),
}


def main() -> None:
    """Write every page."""
    REFERENCE.mkdir(exist_ok=True)
    for name, make in PAGES.items():
        (REFERENCE / name).write_text(make())


def settings_page() -> str:
    """Every setting, by what it is about."""
    counts = Counter(setting.state for setting in SETTINGS)
    return _page(
        "celery_rs.config.SETTINGS",
        "# Settings\n",
        f"There are {len(SETTINGS)} settings: {counts[WORKS]} work, {counts[NOT_YET]} are for parts that are not "
        f"there yet, {counts[REFUSED]} are refused for good. To set one of the last two kinds is an error that says "
        "what to do instead; `celery-rs report` counts those that a project would miss.\n",
        "How to set them is in the [tutorial](../tutorial/configuration.md). The old names, from before Celery 4, are "
        "read too, and so are the new ones in upper case; `celery-rs upgrade settings FILE` rewrites a module.\n",
        *(line for title, rows in GROUPS.items() for line in (f"## {title}\n", _settings_table(rows))),
    )


def command_page() -> str:
    """Every command, its arguments and options."""
    return _page("the command line itself", "# Command line\n", *_command(cli, "celery-rs", None))


def signals_page() -> str:
    """Every signal, when it is sent and what its receivers get."""
    sent = [
        (f"`{name}`", moment, where, _listed(signals.SIGNALS[name].arguments))
        for name, (moment, where) in _MOMENTS.items()
    ]
    others = [f"`{name}`" for name in signals.SIGNALS if name not in _MOMENTS]
    return _page(
        "celery_rs.signals",
        "# Signals\n",
        "`from celery_rs.signals import task_failure`, then `@task_failure.connect` on a function that takes "
        "`**kwargs`; how to use them is in the [guide](../guide/workers.md).\n",
        _table(("signal", "sent when", "in", "arguments besides `sender`"), sent),
        f"There, so that a receiver can be connected, but never sent by what exists today: {', '.join(others)}.\n",
    )


def exceptions_page() -> str:
    """Every exception, its bases and what it means."""
    rows = [
        (f"`{name}`", _listed(base.__name__ for base in found.__bases__), _first_line(found))
        for name, found in vars(errors).items()
        if inspect.isclass(found) and issubclass(found, BaseException) and found.__module__ == errors.__name__
    ]
    return _page(
        "celery_rs.errors",
        "# Exceptions\n",
        "`from celery_rs.errors import WorkerLostError`; `Ignore`, `Reject` and `Retry` are in `celery_rs`, too.\n",
        _table(("exception", "is a", "means"), rows),
    )


PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings_page,
    "cli.md": command_page,
    "signals.md": signals_page,
    "exceptions.md": exceptions_page,
}


def _page(source: str, *parts: str) -> str:
    return "\n".join((_MADE.format(source=source), *parts))


def _settings_table(rows: Iterable[Setting]) -> str:
    return _table(
        ("setting", "type", "default", "old name", "what it says", "state"),
        [
            (
                f"`{row.name}`",
                row.type,
                f"`{row.default!r}`",
                f"`{row.upper}`" if row.old == "=" else f"`{row.old}`" if row.old else "",
                row.help,
                row.state if row.state == WORKS else f"{row.state}: {row.why}",
            )
            for row in rows
        ],
    )


def _command(command: click.Command, path: str, parent: click.Context | None) -> Iterator[str]:
    context = click.Context(command, info_name=path.rpartition(" ")[2], parent=parent)
    if parent is not None:
        yield f"{'#' * (path.count(' ') + 1)} {path}\n"
    yield f"{inspect.cleandoc(command.help or '')}\n"
    yield f"```text\n{path} {' '.join(command.collect_usage_pieces(context))}\n```\n"
    options = [_option(option, context) for option in command.get_params(context) if isinstance(option, click.Option)]
    options = [row for row in options if row is not None]
    if options:
        yield _table(("option", "variable", "what it does"), [row for row in options if row is not None])
    if command.epilog:
        yield f"```text\n{inspect.cleandoc(command.epilog.replace(chr(8), ''))}\n```\n"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None and not below.hidden:
                yield from _command(below, f"{path} {name}", context)


def _option(option: click.Option, context: click.Context) -> tuple[str, str, str] | None:
    record = option.get_help_record(context)
    if record is None or "--help" in option.opts:
        return None
    variables = option.envvar if option.envvar is not None else ()
    return (
        f"`{record[0]}`",
        _listed([variables] if isinstance(variables, str) else variables),
        " ".join(record[1].split()),
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _first_line(found: type[BaseException]) -> str:
    return (inspect.getdoc(found) or "").partition("\n")[0] if "__doc__" in vars(found) else ""


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


if __name__ == "__main__":
    main()
