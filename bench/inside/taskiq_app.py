"""taskiq under the names that the benchmarks use of Celery: on a Redis stream, which its documentation starts with."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from taskiq import AsyncTaskiqTask, TaskiqResultTimeoutError  # type: ignore[import-not-found]
from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker  # type: ignore[import-not-found]

from bench.inside.coroutines import COMPUTES, Loop, on_the_loop

_LOOK_EVERY = 0.001
"""Seconds; 0.2 if nobody says."""


class Result:
    """A task that was sent."""

    def __init__(self, loop: Loop, sent: Any) -> None:
        self._loop = loop
        self.sent = sent
        self.id: str = sent.task_id

    def get(self, timeout: float) -> Any:
        """Wait for it; that takes it out of the store."""
        return self._loop.run(wait(self, timeout))


async def wait(result: Result, timeout: float) -> Any:
    """Look until it is there."""
    try:
        found = await result.sent.wait_result(check_interval=_LOOK_EVERY, timeout=timeout)
    except TaskiqResultTimeoutError as error:
        raise TimeoutError from error
    found.raise_for_error()
    return found.return_value


class Task:
    """A task."""

    def __init__(self, app: "Celery", task: Any) -> None:
        self._app = app
        self.task = task

    def delay(self, *args: Any) -> Result:
        """Send it."""
        return Result(self._app.loop(), self._app.loop().run(self.task.kiq(*args)))


class Celery:
    """The app. It is its own configuration, which arrives before the tasks."""

    def __init__(self, name: str) -> None:
        self.conf = self
        self.native: Any = None
        self.tasks: dict[str, Task] = {}
        self._loop: Loop | None = None

    def update(self, settings: dict[str, Any]) -> None:
        """Make the broker, and the store of results if there is one."""
        self.native = RedisStreamBroker(url=settings["broker_url"])
        if settings["results"]:
            # They stay for ever otherwise; an hour is what the others keep them.
            store = RedisAsyncResultBackend(redis_url=settings["broker_url"], result_ex_time=3600)
            self.native = self.native.with_result_backend(store)

    def loop(self) -> Loop:
        """The client's, in which the broker has been started; a worker starts its own."""
        if self._loop is None:
            self._loop = Loop()
            self._loop.run(self.native.startup())
        return self._loop

    def AsyncResult(self, id: str) -> Result:  # noqa: N802 (as Celery calls it)
        """A result, by its task's id."""
        return Result(self.loop(), AsyncTaskiqTask(task_id=id, result_backend=self.native.result_backend))

    def task(self, name: str) -> Callable[[Callable[..., Any]], Task]:
        """Register a task."""

        def register(body: Callable[..., Any]) -> Task:
            made = body if name == COMPUTES else on_the_loop(name, body)
            self.tasks[name] = Task(self, self.native.task(task_name=name)(made))
            return self.tasks[name]

        return register

    def send_many(self, task: Task, over: Sequence[Sequence[Any]]) -> list[Result]:
        """Send them, many calls in flight."""
        sent = self.loop().run_many(lambda args: task.task.kiq(*args), over)
        return [Result(self.loop(), each) for each in sent]

    def get_many(self, results: Sequence[Result], timeout: float) -> Iterator[Any]:
        """Wait for many at once."""
        return self.loop().get_many(wait, results, timeout)
