"""What a shell may complete a word with that only the user's app knows: the names of its tasks."""

import click
from click.shell_completion import CompletionItem

from celery_rs.cli.apps import app_for_completion


def suggest_tasks(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The names of the app's own tasks."""
    app = app_for_completion(ctx, tasks=True)
    if app is None:
        return []
    own = [name for name in app.tasks if not name.startswith("celery.")]
    return [CompletionItem(name) for name in sorted(own) if name.startswith(incomplete)]
