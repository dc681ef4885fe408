"""Pickle, protocol 4. Reading one runs whatever its writer wanted: the registry hands this out only where accepted.

Messages and results pass between us and Celery, and neither need have the other's modules: Celery's exceptions are
read as ours, its signatures as plain dicts, its results as the tuples that stand for them, and what of ours is a dict
is written as one.
"""

import io
import pickle
from collections.abc import Callable
from typing import Any

from celery_rs import errors
from celery_rs.errors import ContentError, EncodeError

_EXCEPTIONS = frozenset({"celery.exceptions", "billiard.exceptions", "kombu.exceptions"})


class PickleSerializer:
    """Any Python value, for those who trust everybody that can write to their broker."""

    name = "pickle"
    content_type = "application/x-python-serialize"
    content_encoding = "binary"
    safe = False

    def dumps(self, value: object, name: str = "value") -> bytes:
        out = io.BytesIO()
        try:
            _Pickler(out, protocol=4).dump(value)
        except Exception as error:  # code of the value's own
            raise EncodeError(f"{name} cannot be pickled: {_reason(error)}") from error
        return out.getvalue()

    def loads(self, data: bytes) -> Any:
        try:
            return _Unpickler(io.BytesIO(data)).load()
        except Exception as error:
            raise ContentError(f"the pickle cannot be read: {type(error).__name__}: {_reason(error)}") from error


class TaskError(dict[str, Any]):
    """An exception that Celery could not pickle, as a record tells of one (`failure.decode_failure`)."""

    def __init__(self, module: str, name: str, args: Any, text: object = None) -> None:
        super().__init__(exc_type=name, exc_message=list(args), exc_module=module)


def _result_tuple(id: str, backend: object = None, name: object = None, app: object = None, parent: Any = None) -> Any:
    """In place of a result of Celery's: the tuple that a record has for it."""
    return [[id, parent], None]


def _group_tuple(id: str | None = None, results: Any = (), parent: Any = None, **_: object) -> Any:
    return [[id, parent], list(results)]


def _nothing(*args: object, **kwargs: object) -> None:
    """In place of what only Celery can make: a result's backend."""


def _of_app(name: str, args: tuple[Any, ...]) -> Any:
    """In place of what is an app's own: `app.AsyncResult(...)`."""
    return _RESULTS[name](*args)


_RESULTS: dict[str, Callable[..., Any]] = {"AsyncResult": _result_tuple, "GroupResult": _group_tuple}


class _Pickler(pickle.Pickler):
    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, dict) and type(obj).__module__.startswith("celery_rs."):
            return dict, (dict(obj),)
        return NotImplemented


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str, /) -> Any:
        if module in _EXCEPTIONS:
            ours = vars(errors).get(name)
            if isinstance(ours, type):
                return ours
        if module == "celery.canvas":
            return dict
        if module == "celery.result" and name in _RESULTS:
            return _RESULTS[name]
        if (module, name) == ("celery.app.base", "_unpickle_appattr"):
            return _of_app
        if module.startswith("celery.backends"):
            return _nothing
        if (module, name) == ("celery.utils.serialization", "UnpickleableExceptionWrapper"):
            return TaskError
        return super().find_class(module, name)


def _reason(error: Exception) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)
