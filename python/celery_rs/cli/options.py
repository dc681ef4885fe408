"""Kinds of values on the command line, and the options that several commands share.

Every option also reads the environment variable `CELERY_<COMMAND>_<OPTION>` (click's `auto_envvar_prefix`).
"""

import json
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from celery_rs.app import Celery

    ValueKind = click.ParamType[Any]
else:
    ValueKind = click.ParamType  # generic at runtime only since click 8.4


@dataclass(frozen=True, slots=True)
class Globals:
    """What the options before the command said."""

    app: "str | Celery | None" = None
    broker: str | None = None
    result_backend: str | None = None
    config: str | None = None
    quiet: bool = False
    started_in: str = "."
    """The working directory before `--workdir`."""


class CommaSeparated(ValueKind):
    """Names separated by commas."""

    name = "list"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        return tuple(name for name in (word.strip() for word in value.split(",")) if name)


class JsonValue(ValueKind):
    """A JSON list or object."""

    name = "json"

    def __init__(self, kind: type, example: str) -> None:
        self._kind = kind
        self._wanted = f"a JSON {'list' if kind is list else 'object'} such as {example}"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, self._kind):
            return value
        try:
            decoded = json.loads(value)
        except (ValueError, RecursionError) as error:
            self.fail(f"expected {self._wanted}, got {value!r} ({error})", param, ctx)
        if not isinstance(decoded, self._kind):
            self.fail(f"expected {self._wanted}, got {value!r}", param, ctx)
        return decoded


class Moment(ValueKind):
    """A time in ISO 8601, or (`or_seconds`) seconds from now."""

    name = "time"

    def __init__(self, *, or_seconds: bool = False) -> None:
        self._or_seconds = or_seconds

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime | float:
        if isinstance(value, datetime | float):
            return value
        if self._or_seconds:
            try:
                return float(value)
            except ValueError:
                pass
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            seconds = " or seconds such as 60" if self._or_seconds else ""
            self.fail(f"expected a time such as '2030-01-31T12:00:00+00:00'{seconds}, got {value!r}", param, ctx)


class Seconds(ValueKind):
    """A length of time. `least` is the smallest; with `not_zero` it is above 0. Infinity and NaN are no lengths."""

    name = "seconds"

    def __init__(self, *, least: float = 0.0, not_zero: bool = False) -> None:
        self._least = least
        self._not_zero = not_zero
        self._wanted = f"a number of seconds{' above 0' if not_zero else ', 0 or more' if least == 0 else ''}"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            seconds = float(value)
        except ValueError:
            seconds = float("nan")
        if not isfinite(seconds) or seconds < self._least or (self._not_zero and not seconds):
            self.fail(f"expected {self._wanted}, got {value!r}", param, ctx)
        return seconds


class LogLevel(ValueKind):
    """A level's name in any case."""

    name = "level"
    levels = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", "FATAL")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        if value.upper() not in self.levels:
            self.fail(f"expected one of {', '.join(self.levels)}, got {value!r}", param, ctx)
        return logging.getLevelNamesMapping()[value.upper()]


COMMA_SEPARATED = CommaSeparated()
LOG_LEVEL = LogLevel()

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class FlagNamed(click.Option):
    """An option whose variable is named after its flag, where the function's argument has another name."""

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        flag = self.opts[-1].lstrip("-").replace("-", "_").upper()
        given = os.environ.get(f"{ctx.auto_envvar_prefix}_{flag}") if ctx.auto_envvar_prefix else None
        return given or super().resolve_envvar_value(ctx)


json_option: Decorator = click.option(
    "-j", "--json", "as_json", cls=FlagNamed, is_flag=True, help="Print one JSON document."
)
queues_option: Decorator = click.option(
    "-Q", "--queues", type=COMMA_SEPARATED, default=(), metavar="LIST", help="These queues, separated by commas."
)
exclude_queues_option: Decorator = click.option(
    "-X", "--exclude-queues", type=COMMA_SEPARATED, default=(), metavar="LIST", help="All queues but these."
)


def asking_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options of commands that ask workers."""
    for decorate in (
        click.option(
            "-t",
            "--timeout",
            type=Seconds(not_zero=True),
            default=1.0,
            show_default=True,
            help="Seconds to wait for the next reply.",
        ),
        click.option(
            "-d",
            "--destination",
            type=COMMA_SEPARATED,
            default=(),
            metavar="LIST",
            help="Ask these nodes only; the names are separated by commas.",
        ),
        json_option,
    ):
        function = decorate(function)
    return function
