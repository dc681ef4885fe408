"""A declared task is asleep until it is first used: then its app is finalized and the settings are read.

Asleep, it is the same object under another class, which notices every use. Awake, it has its own class back and costs
what any object costs. So a task is declared before the settings are known, and has no moment in which it lies.
"""

from typing import Any

from celery_rs.app.task import Task

_set = object.__setattr__
_get = object.__getattribute__


class Asleep(Task[..., Any]):
    """The class of a task that nobody has used yet."""

    def __getattribute__(self, name: str) -> Any:
        if name == "__class__":
            return _get(self, "__dict__")["_awake_class"]
        rouse(self)
        return getattr(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        rouse(self)
        setattr(self, name, value)

    def __delattr__(self, name: str) -> None:
        rouse(self)
        delattr(self, name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        rouse(self)
        return self(*args, **kwargs)

    def __repr__(self) -> str:
        rouse(self)
        return repr(self)

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other


def lull(task: Task[..., Any]) -> None:
    """Put a declared task to sleep. One whose class has slots of its own stays awake."""
    awake = type(task)
    if awake.__basicsize__ == Asleep.__basicsize__:
        task.__dict__["_awake_class"] = awake
        _set(task, "__class__", Asleep)


def is_asleep(task: Task[..., Any]) -> bool:
    return type(task) is Asleep


def wake(task: Task[..., Any]) -> None:
    """Give the task its own class back."""
    if type(task) is Asleep:
        _set(task, "__class__", _get(task, "__dict__").pop("_awake_class"))


def rouse(task: Task[..., Any]) -> None:
    """Finalize the task's app, which binds the task. Raises what that raises, and the task sleeps on."""
    app = _get(task, "__dict__")["_app"]
    app.ready_for(task)
