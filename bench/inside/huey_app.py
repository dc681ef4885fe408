"""huey under the names that the benchmarks use of Celery, on Redis or in an SQLite file."""

from collections.abc import Callable
from typing import Any

from huey import RedisHuey, SqliteHuey  # type: ignore[import-not-found]


class Result:
    """A result, by its id."""

    def __init__(self, huey: Any, id: str) -> None:
        self._huey = huey
        self.id = id

    def get(self, timeout: float) -> Any:
        """Wait for it; that takes it out of the store."""
        return self._huey.result(self.id, blocking=True, timeout=timeout)


class Task:
    """A task."""

    def __init__(self, huey: Any, task: Any) -> None:
        self._huey = huey
        self._task = task

    def delay(self, *args: Any) -> Result | None:
        """Enqueue it; there is nothing to hold where results are off."""
        return self._handle(self._task(*args))

    def later(self, seconds: float, *args: Any) -> Result | None:
        """Enqueue it for the scheduler."""
        return self._handle(self._task.schedule(args=args, delay=seconds))

    def _handle(self, result: Any) -> Result | None:
        return result and Result(self._huey, result.id)


class Celery:
    """The app. It is its own configuration, which arrives before the tasks."""

    def __init__(self, name: str) -> None:
        self.conf = self
        self.name = name
        self.native: Any = None
        self.tasks: dict[str, Task] = {}

    def update(self, settings: dict[str, Any]) -> None:
        """Make the queue: `settings` are what its constructor takes."""
        kind = RedisHuey if "url" in settings else SqliteHuey
        self.native = kind(self.name, **settings)

    def AsyncResult(self, id: str) -> Result:  # noqa: N802 (as Celery calls it)
        """A result, by its id."""
        return Result(self.native, id)

    def task(self, name: str) -> Callable[[Callable[..., Any]], Task]:
        """Register a task."""

        def register(body: Callable[..., Any]) -> Task:
            self.tasks[name] = Task(self.native, self.native.task(name=name)(body))
            return self.tasks[name]

        return register
