"""rq under the names that the benchmarks use of Celery. It finds a body by its place: `bench.inside.app.native`."""

import math
from collections.abc import Callable, Sequence
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from redis import Redis
from rq import Queue  # type: ignore[import-not-found]
from rq.job import Job  # type: ignore[import-not-found]


class Result:
    """A job's result."""

    def __init__(self, job: Any) -> None:
        self._job = job
        self.id: str = job.id

    def get(self, timeout: float) -> Any:
        """Wait for it."""
        found = self._job.latest_result(timeout=math.ceil(timeout))
        if found is None:
            raise TimeoutError(f"no result of {self.id} within {timeout:g} s")
        return found.return_value


class Task:
    """A function by its place."""

    def __init__(self, queue: Any, place: str, options: dict[str, Any]) -> None:
        self._queue = queue
        self._place = place
        self._options = options

    def delay(self, *args: Any) -> Result:
        """Enqueue a job."""
        return Result(self._queue.enqueue(self._place, args=args, **self._options))

    def later(self, seconds: float, *args: Any) -> Result:
        """Leave a job with the scheduler, which is one of the workers."""
        job = self._queue.enqueue_in(timedelta(seconds=seconds), self._place, args=args, **self._options)
        return Result(job)

    def many(self, over: Sequence[Sequence[Any]]) -> list[Result]:
        """Enqueue jobs in one pipeline."""
        jobs = [Queue.prepare_data(self._place, args=tuple(args), **self._options) for args in over]
        return [Result(job) for job in self._queue.enqueue_many(jobs)]


class Celery:
    """The app. It is its own configuration, which arrives before the tasks."""

    def __init__(self, name: str) -> None:
        self.conf = self
        self.native = SimpleNamespace()
        self.url = ""
        self.tasks: dict[str, Task] = {}
        self._queue: Any = None
        self._options: dict[str, Any] = {}

    def update(self, settings: dict[str, Any]) -> None:
        """Make the queue. A result that is to live for no time is none."""
        self.url = settings["broker_url"]
        self._queue = Queue(connection=Redis.from_url(self.url))
        self._options = {} if settings["results"] else {"result_ttl": 0}

    def AsyncResult(self, id: str) -> Result:  # noqa: N802 (as Celery calls it)
        """A result, by its job's id."""
        return Result(Job.fetch(id, connection=self._queue.connection))

    def task(self, name: str) -> Callable[[Callable[..., Any]], Task]:
        """Put a body where it is found."""

        def register(body: Callable[..., Any]) -> Task:
            attribute = name.replace(".", "_")
            setattr(self.native, attribute, body)
            self.tasks[name] = Task(self._queue, f"bench.inside.app.native.{attribute}", self._options)
            return self.tasks[name]

        return register

    def send_many(self, task: Task, over: Sequence[Sequence[Any]]) -> list[Result]:
        """Enqueue jobs in one pipeline."""
        return task.many(over)
