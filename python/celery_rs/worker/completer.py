"""Write to broker and result store for the loop, in batches that clock themselves.

A thread of its own: it takes everything that gathered while the last batch was written, so batches grow with
the load and a lone result waits for nobody. A write that fails is repeated with backoff until it works or the
worker gives up, on this write and all that follow; what is not settled counts as in hand, so a store that is down
stops the receiving.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from celery_rs.backends import ResultWriter
from celery_rs.errors import BackendError, OperationalError
from celery_rs.transports import Backoff, Burial, Completion, Consumer, Tag, Transport, Verdict
from celery_rs.wire import Exchange, TaskResult
from celery_rs.worker import settle
from celery_rs.worker.inbox import Inbox, Settled
from celery_rs.worker.threads import thread

logger = logging.getLogger("celery.worker.completer")

BATCH_MOST = 512
WRITE_AGAIN_S = 3.0
"""The longest pause between two tries: nothing is received while writes wait."""
LAST_WRITE_S = 5.0
"""How long a write that was going on when the worker gave up may still take."""


class Begin(NamedTuple):
    """These have started."""

    tags: Sequence[Tag]
    late: bool


class Progress(NamedTuple):
    """A record from the middle of a run."""

    record: TaskResult


class GiveBack(NamedTuple):
    """To the queue again."""

    tags: Sequence[Tag]
    crashed: bool = False
    front: bool = True


class Defer(NamedTuple):
    """To the broker's delayed store."""

    due: Mapping[Tag, float]


class Bury(NamedTuple):
    """To the dead letters."""

    letters: Mapping[Tag, Burial]


class Reply(NamedTuple):
    """An answer to a control request; it may have to ask the broker first."""

    exchange: Exchange
    routing_key: str
    seal: Callable[[], bytes]


Order = Completion | Begin | Progress | GiveBack | Defer | Bury | Reply


class Completer:
    """Thread: waits for orders; ends when it was told to and all orders are carried out."""

    def __init__(
        self,
        transport: Transport,
        consumer: Consumer,
        backend: ResultWriter,
        inbox: Inbox,
        elsewhere: Transport | None = None,
    ) -> None:
        """`elsewhere` is where calls are written to, if that is not where messages are read from."""
        self._transport = transport
        self._consumer = consumer
        self._backend = backend
        self._inbox = inbox
        self._elsewhere = elsewhere
        self._orders: deque[Order] = deque()
        self._changed = threading.Condition()
        self._idle = True
        self._stopping = False
        self._giving_up = threading.Event()
        self._gave_up = False
        self._thread = thread("completer", self._run, inbox)

    def start(self) -> None:
        self._thread.start()

    def order(self, *orders: Order) -> None:
        """Have these written, in this order where they touch the same delivery."""
        self._orders.extend(orders)
        if self._idle:
            with self._changed:
                self._changed.notify()

    def stop(self, grace: float) -> None:
        """Carry out what was ordered, for at most `grace` seconds and one last write."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join(grace)
        self._giving_up.set()
        self._thread.join(LAST_WRITE_S)

    def _run(self) -> None:
        while orders := self._gathered():
            self._carry_out(orders)

    def _gathered(self) -> list[Order]:
        with self._changed:
            self._idle = True
            self._changed.wait_for(lambda: self._orders or self._stopping)
            self._idle = False
            return [self._orders.popleft() for _ in range(min(len(self._orders), BATCH_MOST))]

    def _carry_out(self, orders: Sequence[Order]) -> None:
        """One write for all orders of a kind; kinds in the order of a delivery's life."""
        completions = [order for order in orders if isinstance(order, Completion)]
        others = (
            [order for order in orders if not isinstance(order, Completion)] if len(completions) < len(orders) else ()
        )
        for late in (False, True):
            tags = [tag for order in others if isinstance(order, Begin) and order.late is late for tag in order.tags]
            if tags:
                self._write(partial(self._consumer.begin, tags, late=late))
        records = [order.record for order in others if isinstance(order, Progress)]
        if records:
            self._write(partial(self._backend.store, records))
        if completions:
            self._write(partial(self._finish, completions))
        if others:
            self._end_otherwise(others)

    def _end_otherwise(self, orders: Sequence[Order]) -> None:
        """What ends deliveries that do not finish, and answers."""
        letters = {tag: burial for order in orders if isinstance(order, Bury) for tag, burial in order.letters.items()}
        if letters:
            self._write(partial(settle.bury, letters, consumer=self._consumer, backend=self._backend))
            self._inbox.post(Settled(letters, ()))
        due = {tag: when for order in orders if isinstance(order, Defer) for tag, when in order.due.items()}
        if due:
            self._write(partial(self._consumer.defer, due))
            self._inbox.post(Settled(due, ()))
        for order in orders:
            if isinstance(order, GiveBack):
                self._write(partial(self._consumer.give_back, order.tags, crashed=order.crashed, front=order.front))
                self._inbox.post(Settled(order.tags, ()))
            elif isinstance(order, Reply):
                self._write(partial(self._answer, order))

    def _finish(self, completions: Sequence[Completion]) -> None:
        verdicts = settle.finish(
            completions,
            transport=self._transport,
            consumer=self._consumer,
            backend=self._backend,
            elsewhere=self._elsewhere,
        )
        tags = [completion.tag for completion in completions]
        lost = (
            [tag for tag, verdict in zip(tags, verdicts, strict=True) if verdict == "lost"]
            if "lost" in verdicts
            else []
        )
        if lost:
            logger.warning(
                "%d finished task(s) are held by another worker by now; their results were dropped", len(lost)
            )
        self._inbox.post(Settled(tags, lost, _awaited(completions, verdicts)))

    def _answer(self, reply: Reply) -> None:
        self._transport.announce(reply.exchange, reply.routing_key, [reply.seal()])

    def _write(self, step: Callable[[], object]) -> None:
        backoff = Backoff(most=WRITE_AGAIN_S)
        while not self._gave_up:
            try:
                step()
                return
            except (OperationalError, BackendError) as error:
                delay = backoff.next()
                logger.error("worker: %s; trying again in %.2f seconds", error, delay)
                if self._giving_up.wait(delay):
                    self._gave_up = True
                    logger.error("worker: gave up on what is left to write; the broker still holds its messages")


def _awaited(completions: Sequence[Completion], verdicts: Sequence[Verdict]) -> bool:
    """Whether anybody may wait for what came of any: who calls, or the next one of a chain."""
    return any(
        verdict == "committed" and (completion.record is not None or completion.followups or completion.part)
        for completion, verdict in zip(completions, verdicts, strict=True)
    )
