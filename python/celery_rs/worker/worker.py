"""A worker: its parts, started in order and stopped in reverse.

The pool starts first, before any thread or connection exists: its nursery is forked from a process that has
nothing but the app.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import FrameType

from celery_rs._core import RateLimiter
from celery_rs.app import Celery
from celery_rs.wire import Queue
from celery_rs.worker.completer import Completer
from celery_rs.worker.dispatcher import Caps, Dispatcher
from celery_rs.worker.endings import Endings
from celery_rs.worker.inbox import Inbox, Signalled
from celery_rs.worker.journal import Counts
from celery_rs.worker.leases import Leases
from celery_rs.worker.lifecycle import Lifecycle
from celery_rs.worker.listener import Listener
from celery_rs.worker.loop import Loop
from celery_rs.worker.options import WorkerOptions
from celery_rs.worker.policy import Policy, policy_of
from celery_rs.worker.pools import Pool, open_pool
from celery_rs.worker.receiver import Receiver
from celery_rs.worker.state import State
from celery_rs.worker.watch import Watch
from celery_rs.worker.window import Window

FLUSH_S = 10.0
"""How long a stopping worker tries to write what is left."""
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


class Worker:
    """Runs the tasks of one app until a signal ends it. Options that are None come from the settings."""

    def __init__(self, app: Celery, options: WorkerOptions) -> None:
        self.app = app
        self.options = options
        self.hostname = options.hostname
        self.concurrency = options.concurrency or app.conf["worker_concurrency"] or os.cpu_count() or 1
        self.queues: Sequence[Queue] = app.queues(include=options.queues, exclude=options.exclude_queues)

    def run(self, *, ready: Callable[[], None] = lambda: None) -> int:
        """Work; returns the exit code. `ready` is called once messages can be received.

        Raises OperationalError, BackendError or ImproperlyConfigured when it cannot start.
        """
        policies = self._policies()
        lifecycle = Lifecycle()
        limiter = RateLimiter()
        for name, policy in policies.items():
            limiter.set(name, policy.rate, time.monotonic())
        pool = self._pool()
        with ExitStack() as parts:
            box = Inbox()
            parts.callback(box.close)
            loop = self._assemble(parts, box, pool, policies, limiter, lifecycle)
            with _signals_to(box):
                lifecycle.started()
                ready()
                return loop.run()

    def _assemble(
        self,
        parts: ExitStack,
        box: Inbox,
        pool: Pool,
        policies: dict[str, Policy],
        limiter: RateLimiter,
        lifecycle: Lifecycle,
    ) -> Loop:
        """Start everything but the loop; `parts` stops it in reverse."""
        conf, transport = self.app.conf, self.app.transport
        watch = Watch()
        parts.callback(watch.close)
        parts.callback(pool.stop)
        pool.start(box.post, watch)

        transport.declare(self.queues)
        consumer = transport.consume([queue.name for queue in self.queues])
        parts.callback(consumer.close)
        completer = Completer(transport, consumer, self.app.backend, box)
        completer.start()
        parts.callback(completer.stop, FLUSH_S)
        receiver = Receiver(consumer, box)
        receiver.start()
        parts.callback(receiver.stop)
        leases = Leases(consumer, box)
        leases.start()
        parts.callback(leases.stop)
        if conf["worker_enable_remote_control"]:
            listener = Listener(transport, box, self.hostname, f"{conf['control_exchange']}.pidbox")
            listener.start()
            parts.callback(listener.stop)
        return Loop(
            self.app,
            hostname=self.hostname,
            dispatcher=Dispatcher(policies, limiter, Caps(conf["task_max_crashes"], conf["task_max_deliveries"])),
            limiter=limiter,
            window=Window(pool.size, self._multiplier()),
            lifecycle=lifecycle,
            pool=pool,
            watch=watch,
            box=box,
            completer=completer,
            receiver=receiver,
            endings=Endings(self.hostname, policies),
            counts=Counts(),
            state=lambda loop: State(loop, self.queues),
        )

    def _policies(self) -> dict[str, Policy]:
        soft, hard = self.options.soft_time_limit, self.options.time_limit
        return {
            name: policy_of(task, self.app.conf, soft_limit=soft, hard_limit=hard)
            for name, task in self.app.tasks.items()
        }

    def _pool(self) -> Pool:
        most = self.options.max_tasks_per_child or self.app.conf["worker_max_tasks_per_child"]
        return open_pool(
            self.options.pool, self.app, self.concurrency, hostname=self.hostname, max_tasks_per_child=most
        )

    def _multiplier(self) -> int | None:
        given = self.options.prefetch_multiplier
        return self.app.conf["worker_prefetch_multiplier"] if given is None else given


@contextmanager
def _signals_to(box: Inbox) -> Iterator[None]:
    """Inside the block, signals only post to the inbox."""

    def post(number: int, frame: FrameType | None) -> None:
        box.post(Signalled(number))

    handlers = {number: signal.signal(number, post) for number in _SIGNALS}
    wakeup = signal.set_wakeup_fd(box.wakeup_fd(), warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in handlers.items():
            signal.signal(number, handler)
