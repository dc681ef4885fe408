"""`@app.task(pydantic=True)`: arguments annotated with a model are validated, a returned model is dumped.

In the worker a dict becomes the model that the annotation names; at the caller a model becomes a dict, if the dict
would become an equal model again. pydantic is imported by the first task that asks for it.
"""

import functools
import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from types import UnionType
from typing import Any, NamedTuple

from celery_rs.app.signatures import checker
from celery_rs.app.task import Task
from celery_rs.errors import ImproperlyConfigured

_UNREADABLE = (NameError, AttributeError, TypeError)
"""What names in annotations may raise that only a type checker imports."""


class PydanticOptions(NamedTuple):
    """What the decorator says."""

    pydantic: bool = False
    pydantic_strict: bool = False
    pydantic_context: Mapping[str, Any] | None = None
    pydantic_dump_kwargs: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> "PydanticOptions":
        return cls(**{name: options[name] for name in cls._fields if name in options})


def with_models(
    function: Callable[..., Any], base: type[Task[..., Any]], *, bound: bool, options: PydanticOptions
) -> dict[str, Any]:
    """Attributes of a class of tasks below `base`: `run` and `apply_async` that know models.

    Raises ImproperlyConfigured without pydantic.
    """
    models = _Models(function, bound, options)

    @functools.wraps(function)
    def run(self: Task[..., Any], *args: Any, **kwargs: Any) -> Any:
        args, kwargs = models.validated(self, args, kwargs)
        return models.dumped_result(function(*args, **kwargs))

    def apply_async(self: Any, args: Any = None, kwargs: Any = None, **call: Any) -> Any:
        if (call.get("serializer") or self.serializer) != "pickle":
            args, kwargs = models.dumped(self, args, kwargs)
        return base.apply_async(self, args, kwargs, **call)

    attributes: dict[str, Any] = {"run": run, "apply_async": apply_async}
    check = checker(function, bound=bound)
    # `run` takes anything; what the function takes is checked at the call, as for every task.
    return attributes if check is None else attributes | {"_checker": staticmethod(check)}


class _Models:
    """What a function's annotations say of models."""

    def __init__(self, function: Callable[..., Any], bound: bool, options: PydanticOptions) -> None:
        self._base = _base_model()
        self._signature = inspect.signature(function)
        self._bound = bound
        self._options = options
        self._hints_of = function
        self._dump_kwargs = {"mode": "json", **(options.pydantic_dump_kwargs or {})}

    @functools.cached_property
    def _hints(self) -> Mapping[str, Any]:
        """Read at the first call: a name in an annotation may be defined below the function."""
        try:
            return typing.get_type_hints(self._hints_of)
        except _UNREADABLE:
            said = {name: parameter.annotation for name, parameter in self._signature.parameters.items()}
            return said | {"return": self._signature.return_annotation}

    def validated(
        self, task: Task[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments of a run with their models. Raises pydantic's ValidationError, or TypeError."""
        given = self._signature.bind(*([task] if self._bound else []), *args, **kwargs)
        for name, value in given.arguments.items():
            model = self._model(name, value)
            if model is not None:
                given.arguments[name] = self._validate(task, model, value)
        return given.args, given.kwargs

    def dumped_result(self, value: Any) -> Any:
        """A returned model as plain data, if it is the one that the annotation names."""
        wanted = _without_none(self._hints.get("return"))
        if isinstance(value, self._base) and isinstance(wanted, type) and isinstance(value, wanted):
            return self._plain(value)
        return value

    def dumped(self, task: Task[..., Any], args: Any, kwargs: Any) -> tuple[Any, Any]:
        """The arguments of a call without their models. What cannot be bound is left for others to complain about."""
        positional, named = () if args is None else args, {} if kwargs is None else kwargs
        if not isinstance(positional, list | tuple) or not isinstance(named, Mapping):
            return args, kwargs
        if not any(isinstance(value, self._base) for value in (*positional, *named.values())):
            return args, kwargs
        names = self._positional_names()
        dumped = [self._dump(task, names[i] if i < len(names) else None, value) for i, value in enumerate(positional)]
        return dumped, {name: self._dump(task, name, value) for name, value in named.items()}

    def _positional_names(self) -> list[str]:
        kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        names = [name for name, parameter in self._signature.parameters.items() if parameter.kind in kinds]
        return names[1:] if self._bound else names

    def _model(self, name: str, value: Any) -> Any | None:
        """The model that an argument is validated with. `*args` and `**kwargs` are not."""
        parameter = self._signature.parameters.get(name)
        if parameter is None or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            return None
        wanted = self._hints.get(name)
        if value is not None:
            wanted = _without_none(wanted)
        return wanted if isinstance(wanted, type) and issubclass(wanted, self._base) else None

    def _validate(self, task: Task[..., Any], model: Any, value: Any) -> Any:
        context = {**(self._options.pydantic_context or {}), "celery_app": task.app, "celery_task_name": task.name}
        return model.model_validate(value, strict=self._options.pydantic_strict, context=context)

    def _plain(self, model: Any) -> Any:
        return model.model_dump(**self._dump_kwargs)

    def _dump(self, task: Task[..., Any], name: str | None, value: Any) -> Any:
        """A model as a dict, if the worker makes an equal model of it; anything else as it is."""
        if name is None or not isinstance(value, self._base) or hasattr(type(value), "__json__"):
            return value
        model = self._model(name, value)
        if model is None:
            return value
        try:
            dumped = self._plain(value)
            same = self._validate(task, model, dumped) == value
        except Exception:  # noqa: BLE001  (validators are the user's, and may work in a worker only)
            return value
        return dumped if same else value


def _base_model() -> Any:
    try:
        return import_module("pydantic").BaseModel
    except ModuleNotFoundError as error:
        if error.name != "pydantic":
            raise
        raise ImproperlyConfigured(
            "pydantic=True needs pydantic, which is not installed; run `pip install pydantic`"
        ) from None


def _without_none(annotation: Any) -> Any:
    """`Model` of `Model | None`; anything else as it is."""
    if isinstance(annotation, UnionType) or typing.get_origin(annotation) is typing.Union:
        others = [member for member in typing.get_args(annotation) if member is not type(None)]
        if len(others) == 1 and len(others) < len(typing.get_args(annotation)):
            return others[0]
    return annotation
