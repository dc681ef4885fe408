"""`current_app` and `current_task`: names that always mean the one in use here."""

from collections.abc import Callable
from typing import Any

from celery_rs.context import current_app as app_in_use
from celery_rs.context import current_request


class Current:
    """Everything asked of it is asked of what `find` returns at that moment, be it what class it has."""

    def __init__(self, find: Callable[[], Any], **fixed: Any) -> None:
        """`fixed` attributes are known without looking."""
        self.__dict__.update(fixed, _find=find)

    @property  # type: ignore[misc]  # a proxy has the class of what it stands for
    def __class__(self) -> Any:
        return self._find().__class__

    def __getattr__(self, name: str) -> Any:
        return getattr(self._find(), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._find(), name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._find(), name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._find()(*args, **kwargs)

    def __bool__(self) -> bool:
        return bool(self._find())

    def __eq__(self, other: object) -> bool:
        return bool(self._find() == other)

    def __hash__(self) -> int:
        return hash(self._find())

    def __repr__(self) -> str:
        return repr(self._find())

    def __dir__(self) -> list[str]:
        return dir(self._find())

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self._find().__reduce_ex__(protocol)


def task_in_use() -> Any:
    """The task that runs here, or None."""
    request = current_request()
    return None if request is None or request.task is None else app_in_use().tasks.get(request.task)


def app_or_default(app: Any = None) -> Any:
    """`app`, or without one the app in use here."""
    return app_in_use() if app is None else app


def bugreport(app: Any = None) -> str:
    """What somebody must know to help with `app`, or the app in use here."""
    return str(app_or_default(app).bugreport())


current_app: Any = Current(app_in_use)
current_task: Any = Current(task_in_use)
