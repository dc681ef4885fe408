"""`@app.task`: a function → a Task of its own class, named `module.function`.

Declaring reads no settings and connects to nothing: the task is bound to its app when it is first used.
"""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

from celery_rs.app.signatures import is_coroutine_function
from celery_rs.app.task import Task
from celery_rs.config import nearest
from celery_rs.errors import DuplicateTaskNameWarning, ImproperlyConfigured, NotSupported

_DECLARATION_ONLY = frozenset({"base", "bind", "name", "lazy", "shared", "filter"})


def make_task(function: Callable[..., Any], main: str | None, options: Mapping[str, Any]) -> Task[..., Any]:
    """The task that runs `function`. Raises NotSupported for what is not there yet."""
    if not callable(function):
        raise ImproperlyConfigured(f"@app.task expects a function, got {function!r}")
    if not hasattr(function, "__name__"):
        raise ImproperlyConfigured(f"@app.task expects a function with a name, got {function!r}; wrap it in a def")
    if is_coroutine_function(function):
        raise NotSupported(f"the async task {function.__qualname__!r}", "make it a def that calls asyncio.run")
    if options.get("pydantic"):
        raise NotSupported("pydantic=True", "validate the arguments in the task")
    base: Any = options.get("base") or Task
    if not isinstance(base, type) or not issubclass(base, Task):
        raise ImproperlyConfigured(f"@app.task expects a subclass of Task as base, got {base!r}")
    name = options.get("name") or task_name(main, function.__name__, function.__module__)
    if not isinstance(name, str):
        raise ImproperlyConfigured(f"@app.task expects a string as name, got {name!r}")
    _warn_of_misspelt(options, base, name)
    run = options["filter"](function) if options.get("filter") else function
    attributes = {
        "run": run if options.get("bind") else staticmethod(run),
        "name": name,
        "__module__": function.__module__,
        "__doc__": function.__doc__,
        "__wrapped__": function,
    }
    attributes |= {key: value for key, value in options.items() if key not in _DECLARATION_ONLY}
    made: Task[..., Any] = type(function.__name__, (base,), attributes)()
    return made


def task_name(main: str | None, function: str, module: str) -> str:
    """`module.function`; the app's name stands for `__main__`."""
    return f"{main if module == '__main__' and main else module}.{function}"


def _warn_of_misspelt(options: Mapping[str, Any], base: type[Task[..., Any]], task: str) -> None:
    """Options of the user's own become attributes of the task; one that is nearly ours is a mistake."""
    for option in [option for option in options if option not in _DECLARATION_ONLY and not hasattr(base, option)]:
        known = [*_DECLARATION_ONLY, *(name for name in dir(base) if not name.startswith("_"))]
        meant = nearest(option, known, max(1, min(2, len(option) // 4)))
        if meant is not None:
            warnings.warn(f"task {task!r} has an option {option!r}; did you mean {meant!r}?", stacklevel=5)


def warn_of_twin(first: Task[..., Any], function: Callable[..., Any]) -> None:
    """Another function wants the name of a task that exists."""
    if getattr(first, "__wrapped__", None) is not function:
        warnings.warn(
            f"task {first.name!r} is declared twice; the first function is kept",
            DuplicateTaskNameWarning,
            stacklevel=4,
        )
