"""The running worker as its remote commands see it."""

import os
import resource
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from celery_rs.context import AppLike
from celery_rs.wire import Queue
from celery_rs.worker.commands import ActiveTask
from celery_rs.worker.dispatcher import Entry
from celery_rs.worker.pools import Running

if TYPE_CHECKING:
    from celery_rs.worker.loop import Loop


class State:
    """Read by commands on the loop's thread; implements `commands.WorkerState`."""

    def __init__(self, loop: "Loop", queues: Sequence[Queue]) -> None:
        self._loop = loop
        self._queues = queues
        self._started = time.monotonic()

    @property
    def hostname(self) -> str:
        return self._loop.hostname

    @property
    def app(self) -> AppLike:
        return self._loop.app

    def set_rate(self, task: str, rate: str | float | None) -> None:
        """From now on; what waits for a token waits as long as the new rate says. Raises ValueError."""
        self._loop.set_rate(task, rate)

    def active(self) -> Sequence[ActiveTask]:
        offset = time.time() - time.monotonic()
        found = []
        for job in self._loop.pool.running():
            entry = self._loop.dispatcher.out.get(job.tag)
            if entry is not None:
                found.append(_active(entry, job, offset))
        return found

    def reserved(self) -> Sequence[ActiveTask]:
        return [_active(entry, None, 0.0) for entry in self._loop.dispatcher.waiting()]

    def queues(self) -> Sequence[Queue]:
        return self._queues

    def stats(self) -> Mapping[str, object]:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        loop = self._loop
        return {
            "total": dict(loop.counts.total),
            "pid": os.getpid(),
            "clock": "0",
            "uptime": int(time.monotonic() - self._started),
            "pool": loop.pool.describe(),
            "broker": {"transport": loop.app.transport.describe()},
            "prefetch_count": loop.window.size,
            "rusage": {name.removeprefix("ru_"): getattr(usage, name) for name in _USAGE},
        }


_USAGE = tuple(name for name in dir(resource.struct_rusage) if name.startswith("ru_"))


def _active(entry: Entry, job: Running | None, offset: float) -> ActiveTask:
    return ActiveTask(
        envelope=entry.envelope,
        queue=entry.queue,
        redelivered=entry.redelivered,
        acknowledged=entry.begun and not entry.policy.late,
        time_start=None if job is None else job.began_at + offset,
        worker_pid=None if job is None else job.pid,
    )
