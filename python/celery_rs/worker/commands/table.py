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
    timeout: float = 1.0
    """How long its asker waits for replies, in seconds, unless told otherwise."""


_rows: dict[str, Command] = {}
_names: dict[str, str] = {}


def command(
    name: str,
    *,
    kind: CommandKind,
    help: str,
    args: str = "",
    aliases: Sequence[str] = (),
    hidden: bool = False,
    timeout: float = 1.0,
    parameters: Sequence[Parameter] | None = None,
) -> Callable[[Function], Function]:
    """Register the decorated function under `name` and `aliases`. A later one of the same name replaces it.

    Without `parameters` they are read from its signature.
    """

    def register(function: Function) -> Function:
        words = _parameters(function) if parameters is None else tuple(parameters)
        _rows[name] = Command(name, kind, help, args, tuple(aliases), hidden, words, function, timeout)
        _names.update(dict.fromkeys((name, *aliases), name))
        return function

    return register


def control_command(*positional: Any, **options: Any) -> Any:
    """A remote command of one's own that changes the worker: `celery-rs control NAME`, `app.control.broadcast(NAME)`.

    The decorated function is called in the worker's main process with its state and the arguments by name; it returns
    what the asker gets, and must not take long. Options are Celery's: `name` (the function's), `alias`, `visible`,
    `default_timeout` (seconds), `help`, `signature` (the words as people read them), `args` (`[(name, type), ...]` as
    the command line takes them, else read from the function), `variadic` (the argument that takes all further words).
    """
    return _decorate("control", positional, options)


def inspect_command(*positional: Any, **options: Any) -> Any:
    """The same for a command that only looks: `celery-rs inspect NAME`."""
    return _decorate("inspect", positional, options)


def _decorate(kind: CommandKind, positional: tuple[Any, ...], options: dict[str, Any]) -> Any:
    if len(positional) == 1 and callable(positional[0]) and not options:
        return _register(kind, positional[0])
    if positional:
        raise TypeError(f"{kind}_command takes its options by name, got {positional!r}")
    return lambda function: _register(kind, function, **options)


def _register(
    kind: CommandKind,
    function: Function,
    name: str | None = None,
    alias: str | None = None,
    visible: bool = True,
    default_timeout: float = 1.0,
    help: str | None = None,
    signature: str | None = None,
    args: Sequence[tuple[str, type]] | None = None,
    variadic: str | None = None,
) -> Function:
    words = None
    if args is not None or variadic is not None:
        words = [Parameter(argument, _word_type(kind_of), required=False) for argument, kind_of in args or ()]
        words += [Parameter(variadic, "rest", required=False)] if variadic else []
    return command(
        name or str(getattr(function, "__name__", type(function).__name__)),
        kind=kind,
        help=help or " ".join((inspect.getdoc(function) or "").partition("\n\n")[0].split()),
        args=signature or "",
        aliases=(alias,) if alias else (),
        hidden=not visible,
        timeout=default_timeout,
        parameters=words,
    )(function)


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
        # Ours fail over what the caller asked for; where one of the user's own fails is what its author must know.
        foreign = not row.function.__module__.startswith(f"{__package__}.")
        logger.error("the remote command %r failed, its caller is told: %r", request.method, error, exc_info=foreign)
        return {"error": repr(error)}


def _parameters(function: Function) -> tuple[Parameter, ...]:
    try:
        hints = get_type_hints(function)
    except Exception:  # noqa: BLE001 - of a user's function, whose annotations may name anything
        hints = {}
    _state, *arguments = inspect.signature(function).parameters.values()
    words = []
    for argument in arguments:
        if argument.kind is not inspect.Parameter.VAR_KEYWORD:  # a word has no name
            required = argument.default is inspect.Parameter.empty
            hint = hints.get(argument.name, str if required else type(argument.default))
            words.append(Parameter(argument.name, _word_type(hint), required))
    return tuple(words)


def _word_type(hint: Any) -> Literal["text", "integer", "switch", "rest"]:
    kinds = {get_origin(kind) or kind for kind in (get_args(hint) if isinstance(hint, UnionType) else (hint,))}
    if kinds & {Sequence, list, tuple}:
        return "rest"
    if bool in kinds:
        return "switch"
    return "integer" if kinds <= {int, type(None)} and int in kinds else "text"
