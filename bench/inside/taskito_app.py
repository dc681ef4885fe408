"""taskito, or flexiq as it has been called since, under the names that the benchmarks use of Celery."""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

_LOOK_EVERY = 0.001
"""Seconds; at first 0.05 if nobody says."""


class Result:
    """A job."""

    def __init__(self, job: Any) -> None:
        self._job = job
        self.id: str = job.id

    def get(self, timeout: float) -> Any:
        """Wait for its result."""
        return self._job.result(timeout, poll_interval=_LOOK_EVERY)


class Task:
    """A task."""

    def __init__(self, task: Any) -> None:
        self.task = task

    def delay(self, *args: Any) -> Result:
        """Enqueue a job."""
        return Result(self.task.delay(*args))

    def later(self, seconds: float, *args: Any) -> Result:
        """Enqueue a job that is not due yet."""
        return Result(self.task.apply_async(args=args, delay=seconds))


class Celery:
    """The app. It is its own configuration, which arrives before the tasks."""

    def __init__(self, name: str) -> None:
        self.conf = self
        self.native: Any = None
        self.tasks: dict[str, Task] = {}

    def update(self, settings: dict[str, Any]) -> None:
        """Make the queue: `settings` are what its constructor takes, and whose it is."""
        self.native = import_module(settings.pop("library")).Queue(**settings)

    def AsyncResult(self, id: str) -> Result:  # noqa: N802 (as Celery calls it)
        """A result, by its job's id."""
        return Result(self.native.get_job(id))

    def task(self, name: str, rate_limit: str | None = None) -> Callable[[Callable[..., Any]], Task]:
        """Register a task."""

        def register(body: Callable[..., Any]) -> Task:
            self.tasks[name] = Task(self.native.task(name=name, rate_limit=rate_limit)(body))
            return self.tasks[name]

        return register

    def send_many(self, task: Task, over: Sequence[Sequence[Any]]) -> list[Result]:
        """Enqueue jobs in one transaction."""
        jobs = self.native.enqueue_many(task.task.name, [tuple(args) for args in over])
        return [Result(job) for job in jobs]
