"""A worker: its parts, started in order and stopped in reverse.

The pool starts first, before any thread or connection exists: its nursery is forked from a process that has
nothing but the app.
"""

import logging
import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from typing import Any

from celery_rs import signals
from celery_rs._core import RateLimiter
from celery_rs.app import Celery
from celery_rs.backends import ResultWriter
from celery_rs.config import broker_info
from celery_rs.errors import OperationalError
from celery_rs.events import Emitter
from celery_rs.transports import Consumer
from celery_rs.wire import Queue, event_exchange, exchanges, worker_direct
from celery_rs.worker.autoscale import Autoscale, keepalive
from celery_rs.worker.bulletin import Bulletin
from celery_rs.worker.completer import Completer
from celery_rs.worker.connect import Connecting
from celery_rs.worker.deduplicate import without_repeats
from celery_rs.worker.dispatcher import PARKED_MOST, Caps, Dispatcher
from celery_rs.worker.endings import Endings
from celery_rs.worker.handlers import Handlers, abandon
from celery_rs.worker.heart import INTERVAL_S, Heart
from celery_rs.worker.inbox import Inbox, Signalled, ThreadDied
from celery_rs.worker.journal import Counts
from celery_rs.worker.leases import Leases
from celery_rs.worker.lifecycle import Lifecycle, terminate_is_quit
from celery_rs.worker.listener import Listener
from celery_rs.worker.loop import Loop
from celery_rs.worker.options import WorkerOptions
from celery_rs.worker.policy import Policy, policy_of
from celery_rs.worker.pools import Clerk, Duties, Pool, open_pool, running_tasks
from celery_rs.worker.processes import with_hooks
from celery_rs.worker.processors import usable_processors
from celery_rs.worker.receiver import Receiver
from celery_rs.worker.reconnect import Patience, Tries
from celery_rs.worker.restart import can_restart, restart_at_exit
from celery_rs.worker.revokes import Revokes, revokes_from_environment
from celery_rs.worker.state import State
from celery_rs.worker.statedb import StateDb
from celery_rs.worker.stopping import obey
from celery_rs.worker.threads import Grace, thread, within
from celery_rs.worker.watch import Watch
from celery_rs.worker.window import Window

logger = logging.getLogger("celery.worker")

FLUSH_S = 10.0
"""How long a stopping worker tries to write what is left."""
CLOSE_S = 5.0
"""How long it waits for all its parts that need the broker to end."""
BACK_WITHIN_S = 3.0
"""A broker that is back is found so soon."""
ALIVE_WITHIN_S = 4.0
"""How long a new process may take to be ready, unless `worker_proc_alive_timeout` says."""


class Worker:
    """Runs the tasks of one app until a signal ends it. Options that are None come from the settings.

    Making one imports the task modules and sends `celeryd_init`, whose receivers may still change settings; a receiver
    of `celeryd_after_setup` may change `queues`.
    """

    def __init__(self, app: Celery, options: WorkerOptions) -> None:
        """Raises ImproperlyConfigured."""
        self.app = app
        self.options = options
        self.hostname = options.hostname
        app.set_current()
        app.set_default()
        app.loader.init_worker()
        app.finalize()
        if signals.celeryd_init.receivers:
            given = {field.name: getattr(options, field.name) for field in fields(options)}
            signals.celeryd_init.send(self.hostname, instance=self, conf=app.conf, options=given | dict(options.added))
        self.autoscale = None if options.autoscale is None else Autoscale(*options.autoscale, keepalive(os.environ))
        self.concurrency: int = self._concurrency()
        self.queues: Sequence[Queue] = self._queues()

    @classmethod
    def of(cls, app: Celery, **options: Any) -> "Worker":
        """A worker by its options, as `app.Worker(concurrency=2, queues=["a"])` makes one."""
        chosen = options.get("pool") or app.conf["worker_pool"]
        return cls(app, WorkerOptions.of(**{**options, "pool": chosen}))

    def start(self) -> int:
        """Celery's word for `run`, which also sends the log to stderr unless the program has set it up."""
        if not self.app.log.already_setup:
            self.app.log.setup(self.options.loglevel)
        return self.run()

    def run(
        self,
        *,
        ready: Callable[[], None] = lambda: None,
        unconnected: Callable[[OperationalError], None] = lambda _: None,
    ) -> int:
        """Work; returns the exit code. `ready` is called once messages can be received.

        `unconnected` is called whenever the broker could not be reached and is to be tried again before that.

        Raises OperationalError, BackendError, StateFileError or ImproperlyConfigured when it cannot start.
        """
        # Before the pool is forked: what a receiver sets up, the processes that run tasks have too.
        if signals.worker_init.receivers:
            signals.worker_init.send(self)
        if signals.celeryd_after_setup.receivers:
            signals.celeryd_after_setup.send(self.hostname, instance=self, conf=self.app.conf)
        try:
            return self._run(ready, unconnected)
        finally:
            if signals.worker_shutdown.receivers:
                signals.worker_shutdown.send(self)
            self.app.loader.shutdown_worker()

    def _run(self, ready: Callable[[], None], unconnected: Callable[[OperationalError], None]) -> int:
        policies = self._policies()
        revokes = revokes_from_environment()
        state_file = self.options.statedb or self.app.conf["worker_state_db"]
        statedb = None if state_file is None else StateDb(Path(state_file), revokes)
        if statedb is not None:
            statedb.load()
        lifecycle = self._lifecycle()
        limiter = RateLimiter()
        for name, policy in policies.items():
            limiter.set(name, policy.rate, time.monotonic())
        handlers = Handlers()
        with ExitStack() as parts:
            box = Inbox()
            parts.callback(box.close)
            parts.enter_context(handlers.installed(box, restarts=can_restart()))
            watch = Watch()
            parts.callback(watch.close)
            pool = self._pool()
            parts.callback(pool.stop)
            pool.start(box.post, watch)
            results = self._results(parts, pool, box)
            consumer = self._connect(box, watch, pool, lifecycle, unconnected)
            if consumer is not None:
                if statedb is not None:
                    statedb.start(box)
                    parts.callback(statedb.stop)
                loop = self._assemble(parts, box, watch, pool, consumer, results, policies, limiter, lifecycle, revokes)
                lifecycle.started()
                logger.info("Connected to %s", self.app.transport.describe())
                self._warn_of_the_broker()
                logger.info("%s ready.", self.hostname)
                ready()
                if signals.worker_ready.receivers:
                    signals.worker_ready.send(loop)
                loop.run()
            if lifecycle.abandoned:
                abandon()
            handlers.leave(box)
        if lifecycle.again:
            restart_at_exit()
        return lifecycle.exit_code

    def _warn_of_the_broker(self) -> None:
        try:
            for line in self.app.read_transport.advice():
                logger.warning("%s", line)
        except OperationalError as error:
            logger.warning("cannot ask how the broker is set up: %s", error)

    def _connect(
        self,
        box: Inbox,
        watch: Watch,
        pool: Pool,
        lifecycle: Lifecycle,
        failed: Callable[[OperationalError], None],
    ) -> Consumer | None:
        def hear(event: Signalled) -> None:
            obey(lifecycle, event.number, self.hostname, busy=False, now=time.monotonic())

        connecting = Connecting(box, watch, pool, lifecycle, hear)
        return connecting.connect(self.app.read_transport, self.queues, Patience.at_start(self.app.conf), failed)

    def _assemble(
        self,
        parts: ExitStack,
        box: Inbox,
        watch: Watch,
        pool: Pool,
        consumer: Consumer,
        results: ResultWriter,
        policies: dict[str, Policy],
        limiter: RateLimiter,
        lifecycle: Lifecycle,
        revokes: Revokes,
    ) -> Loop:
        """Start everything but the loop; `parts` stops it in reverse."""
        conf, transport, written = self.app.conf, self.app.read_transport, self.app.transport
        grace, broker = Grace(CLOSE_S), broker_info(self.app.broker_read_url, conf)
        parts.callback(lambda: within(grace.left(), "giving back what is held", consumer.close))
        elsewhere = None if written is transport else written
        completer = Completer(transport, consumer, results, box, elsewhere)
        completer.start()
        parts.callback(completer.stop, FLUSH_S)
        tries = Tries(transport.describe(), Patience.while_running(conf), sooner=BACK_WITHIN_S)
        receiver = Receiver(consumer, box, tries, transport)
        receiver.start()
        parts.callback(lambda: receiver.stop(grace.left()))
        leases = Leases(consumer, box)
        leases.start()
        parts.callback(lambda: leases.stop(grace.left()))
        if conf["worker_enable_remote_control"]:
            listener = Listener(transport, box, self.hostname, exchanges(str(conf["control_exchange"]))[0])
            listener.start()
            parts.callback(lambda: within(grace.left(), "leaving remote control", listener.stop))
        return Loop(
            self.app,
            hostname=self.hostname,
            dispatcher=Dispatcher(policies, limiter, self._caps(), revokes, urgency=transport.features.urgency),
            limiter=limiter,
            window=self._window(pool),
            lifecycle=lifecycle,
            pool=pool,
            watch=watch,
            box=box,
            completer=completer,
            receiver=receiver,
            endings=Endings(self.hostname, policies, self.app),
            bulletin=self._bulletin(parts, box, grace),
            counts=Counts(),
            state=lambda loop: State(loop, self.queues, receiver, self._queue, broker),
            autoscale=self.autoscale,
        )

    def _results(self, parts: ExitStack, pool: Pool, box: Inbox) -> ResultWriter:
        """The result store as the parent writes to it; like the pool, before any thread exists."""
        store = self.app.backend
        if store.place == "parent" or pool.blocks:
            return store
        clerk = Clerk(
            lambda: self.app.backend,
            store.describe(),
            self._duties(),
            broken=lambda reason: box.post(ThreadDied(reason)),
        )
        clerk.start()
        parts.callback(clerk.stop)
        return clerk

    def _bulletin(self, parts: ExitStack, box: Inbox, grace: Grace) -> Bulletin:
        """What monitors hear, and the thread that sends it."""
        conf, options = self.app.conf, self.options
        exchange = event_exchange(conf["event_exchange"])
        emitter = Emitter(self.app.transport, self.app.clock, self.hostname, exchange)
        telling = thread("events", emitter.run, box)
        telling.start()

        def stop() -> None:
            emitter.finish()
            telling.join(grace.left())
            emitter.give_up()

        parts.callback(stop)
        tasks = conf["worker_send_task_events"] if options.task_events is None else options.task_events
        interval = None if options.without_heartbeat else options.heartbeat_interval or INTERVAL_S
        return Bulletin(emitter, Heart(interval), tasks=bool(tasks))

    def _queues(self) -> list[Queue]:
        queues = list(self.app.queues(include=self.options.queues, exclude=self.options.exclude_queues))
        return [*queues, worker_direct(self.hostname)] if self.app.conf["worker_direct"] else queues

    def _concurrency(self) -> int:
        if self.autoscale is not None:
            return max(1, self.autoscale.least)
        chosen = self.options.concurrency or self.app.conf["worker_concurrency"]
        return usable_processors() if chosen == "auto" else chosen or os.cpu_count() or 1

    def _lifecycle(self) -> Lifecycle:
        conf = self.app.conf
        return Lifecycle(
            soft_timeout=conf["worker_soft_shutdown_timeout"] or 0.0,
            soft_on_idle=conf["worker_enable_soft_shutdown_on_idle"],
            terminate_is_quit=terminate_is_quit(os.environ),
        )

    def _queue(self, name: str) -> Queue:
        (queue,) = self.app.queues(include=[name])
        return queue

    def _policies(self) -> dict[str, Policy]:
        soft, hard = self.options.soft_time_limit, self.options.time_limit
        return {
            name: policy_of(task, self.app.conf, soft_limit=soft, hard_limit=hard)
            for name, task in self.app.tasks.items()
        }

    def _pool(self) -> Pool:
        conf, options = self.app.conf, self.options
        most_memory = options.max_memory_per_child or conf["worker_max_memory_per_child"]
        return open_pool(
            options.pool,
            self._duties()._replace(most_memory=most_memory),
            self.concurrency,
            most=None if self.autoscale is None else self.autoscale.most,
            max_tasks_per_child=options.max_tasks_per_child or conf["worker_max_tasks_per_child"],
            alive_within=conf["worker_proc_alive_timeout"] or ALIVE_WITHIN_S,
            limits=(
                options.soft_time_limit or conf["task_soft_time_limit"] or 0,
                options.time_limit or conf["task_time_limit"] or 0,
            ),
        )

    def _duties(self) -> Duties:
        duties = running_tasks(self.app, self.hostname)
        if self.app.conf["worker_deduplicate_successful_tasks"]:
            duties = without_repeats(duties, self.app)
        return with_hooks(duties, self.app, self.hostname, self.options.on_child)

    def _caps(self) -> Caps:
        conf = self.app.conf
        etas = conf["worker_eta_task_limit"]
        caps = Caps(conf["task_max_crashes"], conf["task_max_deliveries"])
        return caps if etas is None else caps._replace(etas=min(etas, PARKED_MOST))

    def _window(self, pool: Pool) -> Window:
        """An autoscaled pool grows to what is in hand, so it must be able to hold as much as it may become."""
        conf, options = self.app.conf, self.options
        slots = pool.size if self.autoscale is None else max(pool.size, self.autoscale.most)
        only_free = conf["worker_disable_prefetch"] if options.disable_prefetch is None else options.disable_prefetch
        given = options.prefetch_multiplier
        multiplier = conf["worker_prefetch_multiplier"] if given is None else given
        return Window(slots, 1 if only_free else multiplier, pushed=self.app.read_transport.features.pushes)
