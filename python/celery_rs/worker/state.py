"""The running worker as its remote commands see it."""

import logging
import os
import resource
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from celery_rs.context import AppLike
from celery_rs.transports import Delayed
from celery_rs.wire import Queue
from celery_rs.worker.commands import Promise
from celery_rs.worker.dispatcher import Entry
from celery_rs.worker.pools import Running
from celery_rs.worker.request import Request
from celery_rs.worker.revokes import stamped

if TYPE_CHECKING:
    from celery_rs.worker.loop import Loop
    from celery_rs.worker.receiver import Receiver

logger = logging.getLogger("celery.worker")


class State:
    """Read and changed by commands on the loop's thread; implements `commands.WorkerState`."""

    def __init__(
        self,
        loop: "Loop",
        queues: Sequence[Queue],
        receiver: "Receiver",
        configured: Callable[[str], Queue],
        broker: Mapping[str, object],
    ) -> None:
        """`broker` is what `stats` says of it."""
        self._loop = loop
        self._queues = list(queues)
        self._receiver = receiver
        self._configured = configured
        self._broker = broker
        self._started = time.monotonic()

    @property
    def hostname(self) -> str:
        return self._loop.hostname

    @property
    def app(self) -> AppLike:
        return self._loop.app

    # looking

    def active(self) -> Sequence[Request]:
        offset = time.time() - time.monotonic()
        found = []
        for job in self._loop.pool.running():
            entry = self._loop.dispatcher.out.get(job.tag)
            if entry is not None:
                found.append(self._request(entry, job, offset))
        return found

    def reserved(self) -> Sequence[Request]:
        dispatcher = self._loop.dispatcher
        started = {job.tag for job in self._loop.pool.running()}
        handed_over = [entry for key, entry in dispatcher.out.items() if key not in started]
        now = time.time()
        return [self._request(one) for one in (*handed_over, *dispatcher.waiting()) if not _is_scheduled(one, now)]

    def scheduled(self) -> Sequence[Request]:
        now = time.time()
        return [self._request(entry) for entry in self._loop.dispatcher.waiting() if _is_scheduled(entry, now)]

    def scheduled_at_broker(self, limit: int) -> Sequence[Delayed]:
        """Nothing where the broker cannot be looked into."""
        if not self.app.transport.features.browse:
            return ()
        return self.app.transport.delayed([queue.name for queue in self._queues], limit)

    def revoked(self) -> Sequence[str]:
        return self._loop.dispatcher.revokes.ids(time.time())

    def queues(self) -> Sequence[Queue]:
        return self._queues

    def stats(self) -> Mapping[str, object]:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        loop = self._loop
        scale = loop.autoscale
        scaling = {} if scale is None else {"autoscaler": scale.describe(loop.pool.size, loop.demand())}
        return {
            "total": dict(loop.counts.total),
            "pid": os.getpid(),
            "clock": str(self.clock()),
            "uptime": int(time.monotonic() - self._started),
            "pool": loop.pool.describe(),
            "broker": self._broker,
            "prefetch_count": loop.window.size,
            "rusage": {name.removeprefix("ru_"): getattr(usage, name) for name in _USAGE},
            **scaling,
        }

    def clock(self) -> int:
        return self.app.clock.value

    # limits

    def set_rate(self, task: str, rate: str | float | None) -> None:
        self._loop.set_rate(task, rate)

    def set_time_limits(self, task: str, soft: float | None, hard: float | None) -> None:
        self._loop.dispatcher.set_time_limits(task, soft, hard)

    # tasks

    def revoke(self, ids: Sequence[str], signum: signal.Signals | None = None) -> list[str]:
        self._loop.dispatcher.revokes.add(ids, time.time())
        wanted = frozenset(ids)
        return self._loop.revoke(lambda entry: entry.envelope.id in wanted, signum)

    def revoke_stamped(self, stamps: Mapping[str, Sequence[Any]], signum: signal.Signals | None = None) -> list[str]:
        revokes = self._loop.dispatcher.revokes
        revokes.add_stamps(stamps)
        return self._loop.revoke(lambda entry: bool(stamped(entry.envelope, stamps)), signum)

    # events

    def send_task_events(self, on: bool) -> bool:
        before, self._loop.bulletin.tasks = self._loop.bulletin.tasks, on
        return before

    def beat(self) -> None:
        self._loop.beat()

    # the worker itself

    def shutdown(self) -> None:
        self._loop.shut_down()

    def resize(self, by: int) -> None:
        self._loop.resize(self._loop.pool.size + by)

    def autoscale(self, most: int | None, least: int | None) -> tuple[int, int]:
        return self._loop.set_bounds(most, least)

    def restart_pool(self) -> None:
        self._loop.pool.restart()

    def configured(self, queue: str) -> Queue:
        return self._configured(queue)

    def consume(self, queue: Queue) -> Promise:
        promise = Promise()
        self._queues.append(queue)

        def changed(error: Exception | None) -> None:
            if error is None:
                logger.info("Started consuming from %s", queue.name)
                promise.keep({"ok": f"add consumer {queue.name}"})
            else:
                self._queues.remove(queue)
                promise.keep({"error": repr(error)})

        self._receiver.listen(add=[queue], changed=changed)
        return promise

    def cancel(self, queue: str) -> None:
        """By name or alias."""
        gone = [known.name for known in self._queues if queue in (known.name, known.alias)]
        self._receiver.listen(drop=gone)
        self._queues[:] = [known for known in self._queues if known.name not in gone]

    def _request(self, entry: Entry, job: Running | None = None, offset: float = 0.0) -> Request:
        # What runs is as good as acknowledged: the write follows within milliseconds.
        acknowledged = (entry.begun or job is not None) and not entry.policy.late
        request = Request(
            self.app, self.hostname, entry.envelope, redelivered=entry.redelivered, acknowledged=acknowledged
        )
        if job is not None:
            request.time_start, request.worker_pid = job.began_at + offset, job.pid
        return request


# In the order of the system's structure, which is Celery's.
_USAGE = tuple(
    f"ru_{name}"
    for name in (
        *("utime", "stime", "maxrss", "ixrss", "idrss", "isrss", "minflt", "majflt", "nswap", "inblock", "oublock"),
        *("msgsnd", "msgrcv", "nsignals", "nvcsw", "nivcsw"),
    )
)


def _is_scheduled(entry: Entry, now: float) -> bool:
    return entry.envelope.eta is not None and entry.envelope.eta > now
