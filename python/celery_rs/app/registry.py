"""Tasks by name."""

from collections.abc import Iterator, Mapping
from typing import Any

from celery_rs.app.task import Task
from celery_rs.errors import NotRegistered


class TaskRegistry(Mapping[str, Task[..., Any]]):
    """Reading an unknown name raises NotRegistered, which is a KeyError."""

    def __init__(self) -> None:
        self._tasks: dict[str, Task[..., Any]] = {}

    def __getitem__(self, name: str) -> Task[..., Any]:
        try:
            return self._tasks[name]
        except KeyError:
            raise NotRegistered(name) from None

    def get(self, name: str, default: Any = None) -> Any:
        return self._tasks.get(name, default)

    def __contains__(self, name: object) -> bool:
        return name in self._tasks

    def __iter__(self) -> Iterator[str]:
        return iter(self._tasks)

    def __len__(self) -> int:
        return len(self._tasks)

    def register(self, task: Task[..., Any]) -> None:
        self._tasks[task.name] = task

    def unregister(self, task: str | Task[..., Any]) -> None:
        """Raises NotRegistered."""
        name = task if isinstance(task, str) else task.name
        if self._tasks.pop(name, None) is None:
            raise NotRegistered(name)
