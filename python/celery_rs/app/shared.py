"""Tasks of no app in particular: `@shared_task`, and what `@app.task` shares with the apps that come later.

Libraries declare tasks before any app exists. Every app takes all of them when it is finalized, as tasks of its own;
what an app has declared itself comes first.
"""

import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Concatenate, Literal, NamedTuple, ParamSpec, TypeVar, overload

from celery_rs.app.current import Current
from celery_rs.app.declare import task_name
from celery_rs.app.task import Task
from celery_rs.context import current_app

if TYPE_CHECKING:
    from celery_rs.app.app import Celery

P = ParamSpec("P")
R = TypeVar("R")


class Declaration(NamedTuple):
    """A function and the options of its decorator."""

    function: Callable[..., Any]
    options: Mapping[str, Any]


_shared: dict[str, Declaration] = {}
_finalized: "weakref.WeakSet[Celery]" = weakref.WeakSet()


def share(function: Callable[..., Any], options: Mapping[str, Any]) -> Declaration:
    """Offer a task to every app that is finalized from now on. A name that is declared anew replaces the old one."""
    declaration = Declaration(function, options)
    _shared[options.get("name") or task_name(None, function.__name__, function.__module__)] = declaration
    return declaration


def shared_with(app: "Celery") -> list[Declaration]:
    """What an app takes that is being finalized. From now on it takes new shared tasks at once."""
    _finalized.add(app)
    return list(_shared.values())


@contextmanager
def nothing_shared() -> Iterator[None]:
    """Inside the block no task is shared but those declared there; for tests."""
    before = dict(_shared)
    _shared.clear()
    try:
        yield
    finally:
        _shared.clear()
        _shared.update(before)


class SharedTask(Current):
    """The task of that name in the app that is current when it is used."""


@overload
def shared_task(function: Callable[P, R], /) -> Task[P, R]: ...
@overload
def shared_task(*, bind: Literal[True], **options: Any) -> Callable[[Callable[Concatenate[Any, P], R]], Task[P, R]]: ...
@overload
def shared_task(*, bind: Literal[False] = False, **options: Any) -> Callable[[Callable[P, R]], Task[P, R]]: ...
def shared_task(*function: Callable[..., Any], **options: Any) -> Any:
    """Make a task of a function for whatever app is current when it is used; the options are those of `app.task`.

    Raises TypeError for a function that is a shared task already.
    """
    if len(function) > 1:
        raise TypeError(f"@shared_task expects one function, got {len(function)}; options are keywords")
    if function:
        return _declare(function[0], options)
    return lambda function: _declare(function, options)


def _declare(function: Any, options: Mapping[str, Any]) -> Any:
    if type(function) is SharedTask:
        raise TypeError(f"@shared_task is there twice on {function.name!r}; remove one of them")
    declaration = share(function, options)
    for app in list(_finalized):
        app.take(declaration)

    def task() -> Any:
        app: Any = current_app()
        name = options.get("name") or app.gen_task_name(function.__name__, function.__module__)
        return app.tasks[name]

    known = {"__module__": function.__module__, "__doc__": function.__doc__, "__name__": function.__name__}
    return SharedTask(task, **known)
