"""`celery-rs shell`: Python with the app at hand.

Which names there are follows from the package: what does not exist yet (chord, group) is left out and appears with
it.
"""

import code
import sys
from collections.abc import Callable, Collection
from importlib import import_module
from typing import Any

import click

from celery_rs.app import Celery
from celery_rs.cli.app_command import AppCommand
from celery_rs.cli.apps import any_app
from celery_rs.cli.output import ExitCode, Failure
from celery_rs.cli.task_modules import know_tasks

_PACKAGE = "celery_rs"
_NAMES = ("Task", "chord", "group", "chain", "chunks", "xmap", "xstarmap", "subtask", "signature", "Signature")


# What makes ready to start: only what is missing here may fail, an error of what the user types is the user's.


def _python(names: dict[str, Any], banner: str) -> Callable[[], object]:
    """The interpreter's own prompt, with the names completed where readline is there."""
    try:
        readline, completer = import_module("readline"), import_module("rlcompleter")
    except ModuleNotFoundError:
        pass
    else:
        readline.set_completer(completer.Completer(names).complete)
        readline.parse_and_bind("tab: complete")
    return lambda: code.interact(banner=banner, local=names, exitmsg="")


def _ipython(names: dict[str, Any], banner: str) -> Callable[[], object]:
    ipython = import_module("IPython")
    return lambda: ipython.start_ipython(argv=[], user_ns=names)


def _bpython(names: dict[str, Any], banner: str) -> Callable[[], object]:
    bpython = import_module("bpython")
    return lambda: bpython.embed(names, banner=banner)


_SHELLS: dict[str, Callable[[dict[str, Any], str], Callable[[], object]]] = {
    "ipython": _ipython,
    "bpython": _bpython,
    "python": _python,
}


@click.command(cls=AppCommand)
@click.option("-I", "--ipython", is_flag=True, help="Use IPython.")
@click.option("-B", "--bpython", is_flag=True, help="Use bpython.")
@click.option("--python", is_flag=True, help="Use Python's own.")
@click.option("-T", "--without-tasks", is_flag=True, help="Leave the tasks' names out.")
@click.option("--eventlet", is_flag=True, help="Not supported yet: refused by name.")
@click.option("--gevent", is_flag=True, help="Not supported yet: refused by name.")
@click.pass_context
def shell(ctx: click.Context, /, without_tasks: bool, eventlet: bool, gevent: bool, **kinds: bool) -> None:
    """Start Python with the app and its tasks at hand.

    The names are app, celery (the app as well), Task, signature and what else Celery's shell has, and every task by
    the last word of its name. Without an option the first of IPython, bpython and Python that is installed is used.
    """
    for option, asked in (("--eventlet", eventlet), ("--gevent", gevent)):
        if asked:
            raise click.UsageError(f"{option} is not supported yet: there are no green pools; leave it out")
    asked_for = [kind for kind in _SHELLS if kinds[kind]]
    if len(asked_for) > 1:
        raise click.UsageError(f"expected one of --{', --'.join(asked_for)}; leave the others out")
    app = any_app(ctx)
    names = names_for(app, tasks=not without_tasks)
    banner = f"{app!r} on Python {sys.version.split()[0]}: {', '.join(names)}"
    _start(asked_for or _SHELLS, names, banner)


def names_for(app: Celery, *, tasks: bool) -> dict[str, Any]:
    """What the shell starts with."""
    package = import_module(_PACKAGE)
    names: dict[str, Any] = {"app": app, "celery": app}
    names |= {name: getattr(package, name) for name in _NAMES if name in package.__all__}
    if tasks:
        know_tasks(app)
        own = ((name, task) for name, task in app.tasks.items() if not name.startswith("celery."))
        names |= {name.rpartition(".")[2]: task for name, task in own}
    return names


def _start(kinds: Collection[str], names: dict[str, Any], banner: str) -> None:
    """Start the first of these that is installed."""
    missing = ""
    for kind in kinds:
        try:
            run = _SHELLS[kind](names, banner)
        except ModuleNotFoundError as error:
            missing = f"--{kind} needs the package {error.name!r}, which is not installed; install it or use --python"
        else:
            run()
            return
    raise Failure(missing, ExitCode.USAGE)
