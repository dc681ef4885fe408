"""`@app.task`: a function → a Task of its own class, named `module.function`.

Declaring reads no settings and connects to nothing: the task is bound to its app when it is first used.
"""

import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from celery_rs.app.pydantic import PydanticOptions, with_models
from celery_rs.app.signatures import is_coroutine_function
from celery_rs.app.task import Task
from celery_rs.config import nearest
from celery_rs.errors import DuplicateTaskNameWarning, ImproperlyConfigured, NotSupported

_DECLARATION_ONLY = frozenset({"base", "bind", "name", "lazy", "shared", "filter", *PydanticOptions._fields})


def make_task(function: Callable[..., Any], name: str, base: Any, options: Mapping[str, Any]) -> Task[..., Any]:
    """The task that runs `function`. Raises NotSupported for what is not there yet."""
    if not isinstance(base, type) or not issubclass(base, Task):
        raise ImproperlyConfigured(f"@app.task expects a subclass of Task as base, got {base!r}")
    if not isinstance(name, str):
        raise ImproperlyConfigured(f"@app.task expects a string as name, got {name!r}")
    attributes = {
        "run": function if options.get("bind") else staticmethod(function),
        "name": name,
        "__module__": function.__module__,
        "__doc__": function.__doc__,
        "__qualname__": getattr(function, "__qualname__", function.__name__),
        "__wrapped__": function,
    }
    attributes |= {key: value for key, value in options.items() if key not in _DECLARATION_ONLY}
    if options.get("pydantic"):
        attributes |= with_models(function, base, bound=bool(options.get("bind")), options=PydanticOptions.of(options))
    made: Task[..., Any] = type(function.__name__, (base,), attributes)()
    return made


def check_function(function: Any) -> None:
    """Raises ImproperlyConfigured for what is no function, NotSupported for an async one."""
    if not callable(function):
        raise ImproperlyConfigured(f"@app.task expects a function, got {function!r}")
    if not hasattr(function, "__name__"):
        raise ImproperlyConfigured(f"@app.task expects a function with a name, got {function!r}; wrap it in a def")
    if is_coroutine_function(function):
        raise NotSupported(f"the async task {function.__qualname__!r}", "make it a def that calls asyncio.run")


def task_name(main: str | None, function: str, module: str) -> str:
    """`module.function`; the app's name stands for `__main__`."""
    return f"{main if module == '__main__' and main else module}.{function}"


def warn_of_misspelt(options: Mapping[str, Any], base: type, task: str) -> None:
    """Options of the user's own become attributes of the task; one that is nearly ours is a mistake."""
    for option in [option for option in options if option not in _DECLARATION_ONLY and not hasattr(base, option)]:
        known = [*_DECLARATION_ONLY, *(name for name in dir(base) if not name.startswith("_"))]
        meant = nearest(option, known, max(1, min(2, len(option) // 4)))
        if meant is not None:
            warnings.warn(f"task {task!r} has an option {option!r}; did you mean {meant!r}?", stacklevel=_users_level())


def warn_of_twin(name: str, kept: str) -> None:
    """Two tasks want one name."""
    warnings.warn(
        f"task {name!r} is declared twice; {kept} is kept", DuplicateTaskNameWarning, stacklevel=_users_level()
    )


def function_of(task: Task[..., Any]) -> Any:
    """The function that was decorated; None for a class-based task."""
    return vars(task.__class__).get("__wrapped__")  # not type(task), which hides the class of one that is asleep


def _users_level() -> int:
    """How far up the user's own code stands, for `warnings.warn`."""
    frame, level = sys._getframe(1), 1
    ours = __name__.partition(".")[0] + "."
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(ours):
        frame, level = frame.f_back, level + 1
    return level
