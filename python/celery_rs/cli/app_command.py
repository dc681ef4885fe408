"""Commands that work with the app of `-A`, and take the options that the app adds to them.

`app.user_options["preload"]` holds click options for every command, whose values go to the signal
`user_preload_options` before the command runs; `app.user_options["worker"]` those of the worker alone. So the app is
imported before the command's own options are read; `--help` shows what it can when there is no app.
"""

from typing import Any, ClassVar

import click

from celery_rs import signals
from celery_rs.app import Celery
from celery_rs.cli.apps import app_for_completion, named_app, names_an_app
from celery_rs.cli.output import Failure
from celery_rs.errors import CeleryError

_ADDED = "celery_rs.cli.added_options"
_VALUES = "celery_rs.cli.values_of_added_options"


class AppCommand(click.Command):
    """`kinds` are the keys of `app.user_options` whose options this command takes."""

    kinds: ClassVar[tuple[str, ...]] = ("preload",)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        app = self._app(ctx, args)
        if app is not None:
            ctx.meta[_ADDED] = {kind: _by_name(app.user_options.get(kind, ())) for kind in self.kinds}
        return super().parse_args(ctx, args)

    def _app(self, ctx: click.Context, args: list[str]) -> Celery | None:
        if ctx.resilient_parsing or not names_an_app(ctx):
            return app_for_completion(ctx)
        try:
            return named_app(ctx)
        except (Failure, CeleryError):
            if set(args) & set(self.get_help_option_names(ctx)):
                return None
            raise

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        added = ctx.meta.get(_ADDED, {})
        return [*super().get_params(ctx), *(option for kind in self.kinds for option in added.get(kind, ()))]

    def invoke(self, ctx: click.Context) -> Any:
        given = {
            kind: {option.name: ctx.params.pop(option.name) for option in added if option.name in ctx.params}
            for kind, added in ctx.meta.get(_ADDED, {}).items()
        }
        ctx.meta[_VALUES] = given
        if given.get("preload") and signals.user_preload_options.receivers:
            signals.user_preload_options.send(self, app=named_app(ctx), options=given["preload"])
        return super().invoke(ctx)


def added_values(ctx: click.Context, kind: str) -> dict[str, Any]:
    """The values of the options that the app added under this key, by name."""
    values: dict[str, Any] = ctx.meta.get(_VALUES, {}).get(kind, {})
    return values


def _by_name(options: Any) -> list[click.Parameter]:
    """Celery keeps them in a set; here `--help` lists them in order."""
    return sorted(options, key=lambda option: option.name)
