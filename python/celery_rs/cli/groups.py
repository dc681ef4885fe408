"""Help in groups, as Celery's, and options that are not there yet: refused by name, never swallowed."""

from collections.abc import Callable, Mapping
from typing import Any

import click

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class GroupedOption(click.Option):
    """An option that stands under the heading of its group."""

    def __init__(self, *arguments: Any, group: str, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.group = group


class RefusedOption(click.Option):
    """One of Celery's options whose machinery is not there yet. It is known, so that its variable is refused too."""

    def __init__(self, *arguments: Any, why: str, **settings: Any) -> None:
        super().__init__(*arguments, **settings | {"hidden": True, "expose_value": False, "callback": _refuse})
        self.why = why


def _refuse(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    if value and isinstance(param, RefusedOption):
        raise click.UsageError(f"{', '.join(param.opts)} is not supported yet: {param.why}", ctx)


def grouped(group: str) -> Callable[..., Decorator]:
    """`option = grouped("Pool")`: like `click.option`, under the heading *Pool options*."""

    def option(*names: str, **settings: Any) -> Decorator:
        return click.option(*names, cls=GroupedOption, group=group, **settings)

    return option


def refused(*names: str, why: str, is_flag: bool = False) -> Decorator:
    """One of Celery's options that is not there yet, and what to do instead."""
    return click.option(*names, cls=RefusedOption, why=why, is_flag=is_flag)


class GroupedCommand(click.Command):
    """A command whose help shows its options by group, and at its end those that are refused."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for heading, rows in self._groups(ctx).items():
            with formatter.section(heading):
                formatter.write_dl(rows)
        refusals = self.refusals()
        if refusals:
            with formatter.section("Celery's options that are refused, and what to do"):
                formatter.write_dl([(names, why) for names, why in refusals.items()])

    def refusals(self) -> Mapping[str, str]:
        """What is not there yet: its names → what to do instead."""
        return {", ".join(param.opts): param.why for param in self.params if isinstance(param, RefusedOption)}

    def _groups(self, ctx: click.Context) -> dict[str, list[tuple[str, str]]]:
        groups: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            row = param.get_help_record(ctx)
            if row is not None:
                heading = f"{param.group} options" if isinstance(param, GroupedOption) else "Options"
                groups.setdefault(heading, []).append(row)
        return groups
