"""Tasks by name."""

from collections.abc import Iterator, Mapping
from typing import Any

from celery_rs.app.task import Task
from celery_rs.errors import NotRegistered


class TaskRegistry(Mapping[str, Task[..., Any]]):
    """Reading an unknown name raises NotRegistered, which is a KeyError."""

    def __init__(self) -> None:
        self._tasks: dict[str, Task[..., Any]] = {}
        self.changed = False
        """Whether there are tasks that the app has not bound yet."""

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

    def register(self, task: Task[..., Any] | type[Task[..., Any]]) -> None:
        """Add a task, or one made of a class, by its name; the app binds it when it is next asked for tasks."""
        made: Task[..., Any] = task() if isinstance(task, type) else task
        self._tasks[made.name] = made
        self.changed = True

    def unregister(self, task: str | Task[..., Any]) -> None:
        """Raises NotRegistered."""
        name = task if isinstance(task, str) else task.name
        self.changed = True
        if self._tasks.pop(name, None) is None:
            raise NotRegistered(name)
