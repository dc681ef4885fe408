"""`current_app` and `current_task`: names that always mean the one in use here."""

from collections.abc import Callable
from typing import Any

from celery_rs.context import current_app as app_in_use
from celery_rs.context import current_request


class Current:
    """Everything asked of it is asked of what `find` returns at that moment."""

    def __init__(self, find: Callable[[], Any]) -> None:
        object.__setattr__(self, "_find", find)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._find(), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._find(), name, value)

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


def _task_in_use() -> Any:
    request = current_request()
    return None if request is None or request.task is None else app_in_use().tasks.get(request.task)


current_app: Any = Current(app_in_use)
current_task: Any = Current(_task_in_use)
