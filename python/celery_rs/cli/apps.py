"""Which app a command works with: the one of `-A`, else one made of the settings at hand.

Commands that need no tasks (all but `worker`) do without `-A`: a broker from `-b`, the environment or a
`celeryconfig` module is enough, or the embedded database in the working directory.
"""

import importlib.util
import os
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import click

from celery_rs.app import Celery
from celery_rs.cli.find_app import find_app, put_working_directory_on_path
from celery_rs.cli.options import Globals
from celery_rs.cli.output import ExitCode, Failure
from celery_rs.cli.task_modules import import_tasks
from celery_rs.errors import CeleryError

_CONFIG = "celeryconfig"
_DATABASE = "celery-rs.sqlite3"
_BROKER = "CELERY_BROKER_URL"
_BACKEND = "CELERY_RESULT_BACKEND"
_APP = "celery_rs.cli.app"


def names_an_app(ctx: click.Context) -> bool:
    """Whether there is an app to import: `-A` was given."""
    return _given(ctx).app is not None


def named_app(ctx: click.Context) -> Celery:
    """The app of `-A`, which this command cannot do without."""
    if _APP not in ctx.meta:
        ctx.meta[_APP] = _found_app(ctx)
    app: Celery = ctx.meta[_APP]
    return app


def app_for_completion(ctx: click.Context, *, tasks: bool = False) -> Celery | None:
    """The app of `-A`, if need be with its tasks, for a shell that completes a word; None where it cannot be had.

    What the user's modules print or raise is kept from the shell, which would take it for suggestions.
    """
    if not names_an_app(ctx):
        return None
    directory = ctx.find_root().params.get("workdir")
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        try:
            if directory is not None:
                os.chdir(directory)
            app = named_app(ctx)
            if tasks:
                import_tasks(app)
                app.finalize()
        except (Failure, CeleryError, OSError):
            return None
    return app


def _found_app(ctx: click.Context) -> Celery:
    given = _given(ctx)
    if given.app is None:
        raise Failure(
            f"expected an app to take tasks from, got none; name its module: `celery-rs -A proj {ctx.info_name}`",
            ExitCode.USAGE,
        )
    app = find_app(given.app) if isinstance(given.app, str) else given.app
    if given.config is not None:
        app.config_from_object(given.config)
    return app


def _given(ctx: click.Context) -> Globals:
    """What stood before the command. While a shell completes a word no command has run, so nothing has gathered it."""
    if isinstance(ctx.obj, Globals):
        return ctx.obj
    return Globals(app=ctx.find_root().params.get("app"))


def any_app(ctx: click.Context) -> Celery:
    """The app of `-A`, else one that knows the broker and the result store and no tasks."""
    given = _given(ctx)
    if given.app is not None:
        return named_app(ctx)
    put_working_directory_on_path()
    _settle_embedded()
    config = given.config or (_CONFIG if importlib.util.find_spec(_CONFIG) else None)
    if config is not None:
        app = Celery("default", config_source=config)
        if app.conf.broker_url is not None:
            return app
    if _BROKER in os.environ:
        return Celery("default")
    database = Path.cwd() / _DATABASE
    if database.exists():
        return Celery("default", broker=_url(database), backend=_url(database))
    raise Failure(
        "expected an app or a broker, got neither; give one before the command: "
        f"`celery-rs -A proj {ctx.info_name}` or `celery-rs -b URL {ctx.info_name}`",
        ExitCode.USAGE,
    )


def _settle_embedded() -> None:
    """`sqlite://` means the database beside the module that makes the app; without one, of the working directory."""
    for variable in (_BROKER, _BACKEND):
        if os.environ.get(variable) == "sqlite://":
            os.environ[variable] = _url(Path.cwd() / _DATABASE)


def _url(database: Path) -> str:
    return f"sqlite:///{database}"
