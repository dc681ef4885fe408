"""The solo pool: jobs run in the loop's own thread, one per turn of the loop.

For debugging. While a job runs nothing else does: no leases are watched by the loop, no limits enforced, no remote
control answered. A pipe to itself makes the loop come by for the next job.
"""

import os
import signal
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Literal

from celery_rs.errors import NotSupported
from celery_rs.execution import Said, Work
from celery_rs.transports import Tag
from celery_rs.wire import TaskResult
from celery_rs.worker.pools.base import Announced, Finished, Job, PoolEvent, Progress, Returned, Running, Started, Watch
from celery_rs.worker.pools.child import Duties


class SoloPool:
    """Holds one job at a time: there is nothing to gain by having the next one here."""

    size = 1
    most = 1
    blocks = True

    def __init__(self, duties: Duties) -> None:
        self._duties = duties
        self._waiting: Job | None = None
        self._current: Running | None = None
        self._done = 0
        self._woken, self._wake = -1, -1
        self._post: Callable[[PoolEvent], None] = lambda _: None
        self._unwatch: Callable[[], None] = lambda: None

    def start(self, post: Callable[[PoolEvent], None], watch: Watch) -> None:
        if self._woken >= 0:
            return
        self._post = post
        self._woken, self._wake = os.pipe()
        self._unwatch = watch(self._woken, self._run_waiting)
        for enter in self._duties.enter:
            enter(0)

    def room(self, *, batch: int) -> int:
        return int(self._waiting is None and self._current is None)

    def submit(self, jobs: Sequence[Job], *, batch: int) -> None:
        room = self.room(batch=batch)
        if jobs and room:
            self._waiting = jobs[0]
            os.write(self._wake, b"\0")
        if len(jobs) > room:
            self._post(Returned([job.tag for job in jobs[room:]]))

    def running(self) -> Sequence[Running]:
        return [] if self._current is None else [self._current]

    def recall(self, tags: Sequence[Tag] | None = None) -> None:
        if self._waiting is not None and (tags is None or self._waiting.tag in tags):
            returned, self._waiting = self._waiting, None
            self._post(Returned([returned.tag]))

    def tick(self, now: float) -> float | None:
        return None

    def interrupt(self, tag: Tag, how: Literal["soft", "hard"] | signal.Signals) -> None:
        """Only what has not started can be stopped: the loop is not there while a job runs."""
        self.recall([tag])

    def resize(self, size: int) -> None:
        if size != 1:
            raise NotSupported(f"a solo pool of {size!r} processes", "start the worker with `--pool prefork`")

    def restart(self) -> None:
        raise NotSupported("restarting a solo pool", "start the worker with `--pool prefork`, or send it SIGHUP")

    def describe(self) -> dict[str, object]:
        return {
            "implementation": f"{type(self).__module__}:{type(self).__name__}",
            "max-concurrency": 1,
            "processes": [os.getpid()],
            "max-tasks-per-child": "N/A",
            "put-guarded-by-semaphore": False,
            "timeouts": [],
            "writes": {"total": self._done},
        }

    def stop(self) -> None:
        if self._woken < 0:
            return
        self.recall()
        self._unwatch()
        os.close(self._woken)
        os.close(self._wake)
        self._woken, self._wake = -1, -1
        for leave in self._duties.leave:
            leave(0)

    def _run_waiting(self) -> None:
        os.read(self._woken, 1)
        job, self._waiting = self._waiting, None
        if job is None:
            return  # recalled
        tag, envelope, queue, redelivered, announce, late = job
        work = Work.of(tag, envelope, queue, redelivered=redelivered, announce=announce, late=late)
        self._current = Running(tag, os.getpid(), monotonic())
        if announce:
            self._post(Started(*self._current))
        try:
            outcome = self._duties.run(work, self._tell)
        finally:
            self._current = None
        self._done += 1
        self._post(Finished([outcome]))

    def _tell(self, news: TaskResult | Said) -> None:
        if self._current is not None:
            tag = self._current.tag
            self._post(Announced(tag, news) if isinstance(news, Said) else Progress(tag, news))
