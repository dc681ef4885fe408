"""saq under the names that the benchmarks use of Celery."""

import asyncio
import inspect
import time
from collections.abc import Callable, Sequence
from functools import wraps
from itertools import takewhile
from typing import Any

from saq import Queue  # type: ignore[import-not-found]

from bench.inside.coroutines import COMPUTES, Loop, on_the_loop

_AT_ONCE = 100
"""Jobs of a process; 10 if nobody says."""
_LOOK_AGAIN = 0.05
"""Seconds after which a job whose end was not announced is looked at: it may have ended before anyone listened."""
_LOOK_EVERY = 0.001


class Result:
    """A job."""

    def __init__(self, loop: Loop, job: Any) -> None:
        self._loop = loop
        self.job = job
        self.id: str = job.key

    def get(self, timeout: float) -> Any:
        """Wait for its result."""
        return self._loop.run(_finished(self.job, timeout))


async def _finished(job: Any, timeout: float) -> Any:
    until = time.monotonic() + timeout
    while not job.completed:
        if time.monotonic() > until:
            raise TimeoutError(f"no result of {job.key} within {timeout:g} s")
        try:
            await job.refresh(until_complete=_LOOK_AGAIN)
        except TimeoutError:
            continue
    return job.result


async def _all_finished(queue: Any, keys: Sequence[str], timeout: float) -> list[Any]:
    """As its own `map` does, but for jobs that have been enqueued. Those before the first that takes too long."""
    until = time.monotonic() + timeout
    while True:
        jobs = await queue.jobs(keys)
        if all(job.completed for job in jobs):
            return [job.result for job in jobs]
        if time.monotonic() > until:
            return [job.result for job in takewhile(lambda job: job.completed, jobs)]
        await asyncio.sleep(_LOOK_EVERY)


class Task:
    """A function by its name. Jobs have named arguments only."""

    def __init__(self, app: "Celery", name: str, parameters: Sequence[str]) -> None:
        self._app = app
        self._name = name
        self._parameters = parameters

    def delay(self, *args: Any) -> Result:
        """Enqueue a job."""
        return Result(self._app.loop, self._app.loop.run(self.enqueue(args)))

    def later(self, seconds: float, *args: Any) -> Result:
        """Enqueue a job with the second at which it is due."""
        due = int(time.time() + seconds)
        return Result(self._app.loop, self._app.loop.run(self.enqueue(args, scheduled=due)))

    def enqueue(self, args: Sequence[Any], **options: Any) -> Any:
        """A coroutine that does so."""
        named = dict(zip(self._parameters, args, strict=True))
        return self._app.queue.enqueue(self._name, **named, **self._app.options, **options)


class Celery:
    """The app. It is its own configuration, which arrives before the tasks."""

    def __init__(self, name: str) -> None:
        self.conf = self
        self.native: dict[str, Any] = {"functions": [], "concurrency": _AT_ONCE}
        self.queue: Any = None
        self.options: dict[str, Any] = {}
        self.tasks: dict[str, Task] = {}
        self.loop = Loop()

    def update(self, settings: dict[str, Any]) -> None:
        """Make the queue. A job that is not to be kept has no result to read."""
        self.queue = self.native["queue"] = Queue.from_url(settings["broker_url"])
        self.options = {} if settings["results"] else {"ttl": -1}

    def AsyncResult(self, id: str) -> Result:  # noqa: N802 (as Celery calls it)
        """A result, by its job's key."""
        return Result(self.loop, self.loop.run(self.queue.job(id)))

    def task(self, name: str) -> Callable[[Callable[..., Any]], Task]:
        """Register a function."""

        def register(body: Callable[..., Any]) -> Task:
            self.native["functions"].append((name, _as_job(name, body)))
            self.tasks[name] = Task(self, name, list(inspect.signature(body).parameters))
            return self.tasks[name]

        return register

    def send_many(self, task: Task, over: Sequence[Sequence[Any]]) -> list[Result]:
        """Enqueue jobs, many calls in flight."""
        return [Result(self.loop, job) for job in self.loop.run_many(task.enqueue, over)]

    def get_many(self, results: Sequence[Result], timeout: float) -> list[Any]:
        """Look at all of them in one trip, until all have ended or the time is over."""
        found: list[Any] = self.loop.run(_all_finished(self.queue, [result.id for result in results], timeout))
        return found


def _as_job(name: str, body: Callable[..., Any]) -> Callable[..., Any]:
    """With its context as the first argument; a plain function goes to its threads."""
    made = on_the_loop(name, body)

    @wraps(body)
    def run(context: Any, **named: Any) -> Any:
        return body(**named)

    @wraps(body)
    async def run_on_the_loop(context: Any, **named: Any) -> Any:
        return await made(**named)

    return run if name == COMPUTES else run_on_the_loop
