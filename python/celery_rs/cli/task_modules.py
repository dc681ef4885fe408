"""Importing the modules with tasks, for commands that want to know the app's tasks.

A worker refuses to start when one of them fails; these commands go on with the others, and tell which failed.
"""

from celery_rs import signals
from celery_rs.app import Celery
from celery_rs.cli.find_app import describe_import_error
from celery_rs.cli.output import print_note


def import_tasks(app: Celery) -> list[tuple[str, str]]:
    """Import the task modules as a worker does; returns those that fail, with the error."""
    failed = [
        (getattr(answer, "name", None) or "tasks", describe_import_error(answer))
        for _, answer in signals.import_modules.send(app)
        if isinstance(answer, Exception)
    ]
    for module in app.loader.default_modules:
        try:
            app.loader.import_task_module(module)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - user code: it may raise anything, or call sys.exit()
            failed.append((module, describe_import_error(error)))
    return failed


def know_tasks(app: Celery) -> None:
    """Import the task modules and evaluate the tasks; one that fails is told, and left out."""
    for module, error in import_tasks(app):
        print_note(f"the task module {module!r} cannot be imported: {error}")
    app.finalize()
