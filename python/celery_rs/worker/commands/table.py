"""The table of remote commands, read by the worker, the command line and the tests.

A command is a function `(state, **arguments) -> reply`. Its parameters are its arguments on the wire, in the order in
which the command line takes them as words; a parameter without a default is required, one typed as a sequence takes
all remaining words.
"""

import inspect
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from celery_rs.wire import ControlRequest
from celery_rs.worker.commands.state import WorkerState

logger = logging.getLogger(__name__)

CommandKind = Literal["control", "inspect"]
Reply = Any
"""A JSON value: `{"ok": text}`, `{"error": text}`, or data."""
Function = Callable[..., Reply]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument: its name on the wire and the type of its words on the command line."""

    name: str
    type: Literal["text", "integer", "switch", "rest"]
    required: bool


@dataclass(frozen=True, slots=True)
class Command:
    """A row. `args` shows the words for people, as in `<task> <10/s | 5/m | 0>`."""

    name: str
    kind: CommandKind
    help: str
    args: str
    aliases: tuple[str, ...]
    hidden: bool
    parameters: tuple[Parameter, ...]
    function: Function


_rows: dict[str, Command] = {}
_names: dict[str, str] = {}


def command(
    name: str, *, kind: CommandKind, help: str, args: str = "", aliases: Sequence[str] = (), hidden: bool = False
) -> Callable[[Function], Function]:
    """Register the decorated function under `name` and `aliases`. A later one of the same name replaces it."""

    def register(function: Function) -> Function:
        _rows[name] = Command(name, kind, help, args, tuple(aliases), hidden, _parameters(function), function)
        _names.update(dict.fromkeys((name, *aliases), name))
        return function

    return register


def list_commands(kind: CommandKind | None = None) -> list[Command]:
    """The rows, by name; of one kind if asked."""
    return [row for _, row in sorted(_rows.items()) if kind is None or row.kind == kind]


def find_command(name: str) -> Command | None:
    """The row of that name or alias."""
    return _rows[_names[name]] if name in _names else None


def run(request: ControlRequest, state: WorkerState) -> Reply:
    """Run a request. Never raises: what goes wrong is the reply, as its repr (that is what Celery sends)."""
    row = find_command(request.method)
    if row is None:
        logger.error("no remote command %r here; it was ignored", request.method)
        return {"error": repr(KeyError(request.method))}
    try:
        return row.function(state, **request.arguments)
    except Exception as error:
        logger.exception("the remote command %r failed; its caller is told", request.method)
        return {"error": repr(error)}


def _parameters(function: Function) -> tuple[Parameter, ...]:
    hints = get_type_hints(function)
    _state, *arguments = inspect.signature(function).parameters.values()
    return tuple(
        Parameter(argument.name, _word_type(hints[argument.name]), argument.default is inspect.Parameter.empty)
        for argument in arguments
    )


def _word_type(hint: Any) -> Literal["text", "integer", "switch", "rest"]:
    kinds = {get_origin(kind) or kind for kind in (get_args(hint) if isinstance(hint, UnionType) else (hint,))}
    if kinds & {Sequence, list, tuple}:
        return "rest"
    if hint is bool:
        return "switch"
    return "integer" if hint is int else "text"
