"""Exceptions on the wire: exception ⇄ {exc_type, exc_message, exc_module}; with pickle the exception itself.

A class is rebuilt only if it is an ordinary exception of the builtins, of ours, or of a module that is already
imported: reading a result never imports and never runs a function of that name. Anything else becomes a
RemoteError that carries the type's name and text.
"""

import builtins
import sys
from collections.abc import Mapping
from typing import Any

from celery_rs import errors
from celery_rs.errors import ContentError, EncodeError, RemoteError
from celery_rs.serializers import JSON, PICKLE, Serializer

_CELERY, _BILLIARD, _KOMBU = "celery.exceptions", "billiard.exceptions", "kombu.exceptions"
_BILLIARD_NAMES = frozenset({"SoftTimeLimitExceeded", "TimeLimitExceeded", "WorkerLostError", "Terminated"})
_KOMBU_NAMES = frozenset({"OperationalError", "EncodeError", "ContentDisallowed"})
_OWN_NAMES = frozenset({"ContentError", "NotSupported", "RemoteError", "Unroutable"})
"""Ours alone: Celery has no class of that name."""

_HOMES = frozenset({_CELERY, _BILLIARD, _KOMBU, errors.__name__})
_UNSEEN = object()


def encode_failure(exc: BaseException, serializer: Serializer = JSON) -> Any:
    """What a record says of `exc`: an object, in which an argument that cannot be carried becomes its repr.

    With pickle it is the exception itself, unless it is of a class that only we have, or does not come back.
    """
    if isinstance(exc, RemoteError):
        module, _, name = exc.type_name.rpartition(".")
        return {"exc_type": name, "exc_message": [exc.text], "exc_module": module or builtins.__name__}
    kind = type(exc)
    if serializer is PICKLE and kind.__module__ != errors.__name__ and _comes_back(exc):
        return exc
    return {"exc_type": kind.__qualname__, "exc_message": _arguments(exc, serializer), "exc_module": _home(kind)}


def decode_failure(value: object) -> BaseException:
    """The exception in a stored record. Never raises: what cannot be read is a RemoteError that shows it."""
    if isinstance(value, Exception):
        return value
    if not isinstance(value, Mapping) or not isinstance(value.get("exc_type"), str):
        return RemoteError("Exception", value if isinstance(value, str) else repr(value))
    name, module = value["exc_type"], value.get("exc_module")
    message = value.get("exc_message")
    # Older Celery: a plain string.
    args = tuple(message) if isinstance(message, list | tuple) else () if message is None else (message,)
    kind = _find(name, module if isinstance(module, str) else None)
    built = None if kind is None else _build(kind, args)
    return built or RemoteError(_full_name(name, module), ", ".join(str(arg) for arg in args))


def _home(kind: type[BaseException]) -> str:
    if kind.__module__ != errors.__name__ or kind.__name__ in _OWN_NAMES:
        return kind.__module__
    if kind.__name__ in _BILLIARD_NAMES:
        return _BILLIARD
    return _KOMBU if kind.__name__ in _KOMBU_NAMES else _CELERY


def _arguments(exc: BaseException, serializer: Serializer) -> list[Any]:
    given = vars(BaseException)["args"].__get__(exc)  # past a subclass's own `args`
    args = list(given) if isinstance(given, tuple) else []
    if not args and (text := _text(exc)):
        return [text]  # all that there is to know of it: pydantic's ValidationError has no arguments
    if _is_carried(args, serializer):
        return args
    return [arg if _is_carried(arg, serializer) else _repr(arg) for arg in args]


def _text(exc: BaseException) -> str:
    try:
        return str(exc)
    except Exception:  # noqa: BLE001  (a user's __str__)
        return ""


def _is_carried(value: object, serializer: Serializer) -> bool:
    try:
        serializer.dumps(value)
    except EncodeError:
        return False
    return True


def _comes_back(exc: BaseException) -> bool:
    try:
        return type(PICKLE.loads(PICKLE.dumps(exc))) is type(exc)
    except (ContentError, EncodeError):
        return False


def _repr(value: object) -> str:
    try:
        return repr(value)
    except Exception as error:  # noqa: BLE001  (a user's __repr__)
        return f"<{type(value).__name__}: its repr failed with {type(error).__name__}>"


def _full_name(name: str, module: object) -> str:
    return f"{module}.{name}" if isinstance(module, str) and module != builtins.__name__ else name


def _find(name: str, module: str | None) -> type[Exception] | None:
    home: object
    if module in _HOMES:
        home = errors
    elif module in (None, "builtins", "exceptions"):  # the last is Python 2's
        home = builtins
    else:
        home = sys.modules.get(module)
    for part in name.split("."):
        # vars, not getattr: a module's __getattr__ may import
        home = vars(home).get(part, _UNSEEN) if isinstance(home, type) or hasattr(home, "__dict__") else _UNSEEN
    # SystemExit and its like would end the program that only asked for a result.
    return home if isinstance(home, type) and issubclass(home, Exception) else None


def _build(kind: type[Exception], args: tuple[Any, ...]) -> Exception | None:
    """An instance with these arguments, past its constructor where that wants others; None if it cannot be shown."""
    try:
        return kind(*args)
    except Exception:  # noqa: BLE001  (a user's constructor)
        pass
    try:
        built = kind.__new__(kind, *args)
    except Exception:  # noqa: BLE001
        return None
    built.args = args
    try:
        _shown = str(built), repr(built)
    except Exception:  # noqa: BLE001  (they may want what the constructor would have set)
        return None
    return built
