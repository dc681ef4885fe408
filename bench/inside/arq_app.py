"""arq under the names that the benchmarks use of Celery."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from functools import partial, wraps
from types import SimpleNamespace
from typing import Any

from arq import create_pool, func  # type: ignore[import-not-found]
from arq.connections import RedisSettings  # type: ignore[import-not-found]
from arq.jobs import Job  # type: ignore[import-not-found]

from bench.inside.coroutines import COMPUTES, Loop, on_the_loop

QUIET = {"version": 1, "loggers": {"arq": {"level": "WARNING"}}}
"""Without it, it writes two lines for each job."""
_LOOK_EVERY = 0.001
"""Seconds, for queues and for results; 0.5 if nobody says, and then ten jobs each time."""
_AT_ONCE = 100


class Result:
    """A job."""

    def __init__(self, loop: Loop, job: Any) -> None:
        self._loop = loop
        self.job = job
        self.id: str = job.job_id

    def get(self, timeout: float) -> Any:
        """Wait for its result."""
        return self._loop.run(wait(self, timeout))


async def wait(result: Result, timeout: float) -> Any:
    """Look until it is there."""
    return await result.job.result(timeout, poll_delay=_LOOK_EVERY)


class Task:
    """A function by its name."""

    def __init__(self, app: "Celery", name: str) -> None:
        self._app = app
        self.name = name

    def delay(self, *args: Any) -> Result:
        """Enqueue a job."""
        return self.later(0.0, *args)

    def later(self, seconds: float, *args: Any) -> Result:
        """Enqueue a job with the time at which it is due."""
        pool, loop = self._app.pool(), self._app.loop
        return Result(loop, loop.run(pool.enqueue_job(self.name, *args, _defer_by=seconds or None)))


class Celery:
    """The app. It is its own configuration, which arrives before the tasks."""

    def __init__(self, name: str) -> None:
        self.conf = self
        self.native = SimpleNamespace(functions=[], max_jobs=_AT_ONCE, poll_delay=_LOOK_EVERY)
        self.tasks: dict[str, Task] = {}
        self.loop = Loop()
        self._pool: Any = None

    def update(self, settings: dict[str, Any]) -> None:
        """Say what its worker's settings are."""
        self.native.redis_settings = RedisSettings.from_dsn(settings["broker_url"])
        if not settings["results"]:
            self.native.keep_result = 0

    def pool(self) -> Any:
        """The client's connections."""
        if self._pool is None:
            self._pool = self.loop.run(create_pool(self.native.redis_settings))
        return self._pool

    def AsyncResult(self, id: str) -> Result:  # noqa: N802 (as Celery calls it)
        """A result, by its job's id."""
        return Result(self.loop, Job(id, self.pool()))

    def task(self, name: str) -> Callable[[Callable[..., Any]], Task]:
        """Register a function."""

        def register(body: Callable[..., Any]) -> Task:
            self.native.functions.append(func(_as_job(name, body), name=name))
            self.tasks[name] = Task(self, name)
            return self.tasks[name]

        return register

    def send_many(self, task: Task, over: Sequence[Sequence[Any]]) -> list[Result]:
        """Enqueue jobs, many calls in flight."""
        enqueue = partial(self.pool().enqueue_job, task.name)
        return [Result(self.loop, job) for job in self.loop.run_many(lambda args: enqueue(*args), over)]

    def get_many(self, results: Sequence[Result], timeout: float) -> Iterator[Any]:
        """Wait for many at once."""
        return self.loop.get_many(wait, results, timeout)


def _as_job(name: str, body: Callable[..., Any]) -> Callable[..., Any]:
    """A coroutine, which is all that it takes: its documentation sends what blocks to threads."""
    made = partial(asyncio.to_thread, body) if name == COMPUTES else on_the_loop(name, body)

    @wraps(body)
    async def run(context: Any, *args: Any) -> Any:
        return await made(*args)

    return run
