"""Bring messages from the broker to the inbox, as many as the loop allows, and the facts that concern them before.

A thread of its own, because `receive` blocks: in the broker while it may receive, else on its allowance.
Losing the broker is its business alone: it tries again with backoff, as often as the settings say; then the worker
ends.
"""

import logging
import reprlib
import threading
from collections import deque
from collections.abc import Callable, Sequence
from math import inf
from typing import NamedTuple

from celery_rs.errors import ImproperlyConfigured, NotSupported, OperationalError
from celery_rs.transports import Consumer, QueueRefused, Transport
from celery_rs.wire import Queue
from celery_rs.worker.inbox import Delivered, FactsLearnt, Inbox, ThreadDied
from celery_rs.worker.reconnect import Tries
from celery_rs.worker.threads import thread

logger = logging.getLogger("celery.worker.consumer")

PORTION = 512
"""More than this comes in several receptions, so that the first is worked on while the next is on its way.

A broker that pushes does that by itself, and is told all that is allowed.
"""
WAIT_S = 5.0
"""The longest single wait in the broker."""
STOP_S = 5.0


class _Change(NamedTuple):
    add: Sequence[Queue]
    drop: Sequence[str]
    changed: Callable[[Exception | None], None]


class Receiver:
    """Thread: waits for the loop's allowance, then in `Consumer.receive`."""

    def __init__(self, consumer: Consumer, inbox: Inbox, tries: Tries, transport: Transport | None = None) -> None:
        """`transport` is where facts are read and queues declared."""
        self._consumer = consumer
        self._inbox = inbox
        self._tries = tries
        self._transport = transport
        self._portion = inf if transport is not None and transport.features.pushes else PORTION
        self._facts = -1 if transport is not None and transport.features.facts else None
        self._changes: deque[_Change] = deque()
        self._allowed = 0
        self._posted = 0
        self._stopping = False
        self._changed = threading.Condition()
        self._thread = thread("receiver", self._run, inbox)

    def start(self) -> None:
        self._thread.start()

    def allow(self, limit: int, *, handled: int) -> None:
        """Up to `limit` more messages may be received; replaces the last allowance.

        `handled` is how many `Delivered` the loop has dealt with: one that knows nothing of the last delivery can but
        lower it.
        """
        if limit == self._allowed:
            return
        with self._changed:
            if handled == self._posted:
                self._allowed = limit
                self._changed.notify()
            else:
                self._allowed = min(self._allowed, limit)

    def listen(
        self,
        add: Sequence[Queue] = (),
        drop: Sequence[str] = (),
        *,
        changed: Callable[[Exception | None], None] = lambda _: None,
    ) -> None:
        """Receive from these queues too (they are declared first), and from those no more; as soon as it can be.

        `changed` is called by the receiver's thread once that is so, or with why the broker does not let these queues
        be used.
        """
        with self._changed:
            self._changes.append(_Change(add, drop, changed))
            self._changed.notify()
        self._consumer.wake()

    def retire(self) -> None:
        """Receive no more; does not wait for what is being received."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._consumer.wake()

    def stop(self, grace: float = STOP_S) -> None:
        """No more is received after this returns; waits at most `grace` seconds for a broker that does not answer."""
        self.retire()
        self._thread.join(grace)

    def _run(self) -> None:
        try:
            self._receive_all()
        except OperationalError as error:  # tried often enough
            self._inbox.post(ThreadDied(f"the broker cannot be reached ({error})"))

    def _receive_all(self) -> None:
        """Until the stop. Raises OperationalError."""
        while (limit := self._next_limit()) is not None:
            try:
                self._change_queues()
                if not limit:
                    continue
                asked = int(min(limit, self._portion))
                received = self._consumer.receive(asked, WAIT_S)
            except OperationalError as error:
                self._pause(self._tries.failed(error))
                continue
            self._tries.worked()
            self._learn(received.facts)
            if received.deliveries or received.lost:
                count = len(received.deliveries)
                with self._changed:
                    # Nothing of it has been counted against the allowance, whenever that was given.
                    self._allowed = max(0, self._allowed - count) if count == asked else 0
                    self._posted += 1
                self._inbox.post(Delivered(received.deliveries, received.lost, asked))

    def _change_queues(self) -> None:
        """A change that fails is made again, unless it always would."""
        while self._changes and self._transport is not None:
            change = self._changes[0]
            try:
                self._transport.declare(change.add)
                self._consumer.listen_to([queue.name for queue in change.add], change.drop)
            except (QueueRefused, ImproperlyConfigured, NotSupported) as error:
                logger.error("consumer: not consuming from %s: %s", _names(change.add), error)
                change.changed(error)
            else:
                change.changed(None)
            self._changes.popleft()

    def _learn(self, version: int) -> None:
        """Read the facts up to this version; what was received together with it goes on afterwards only."""
        if self._facts is None or self._facts == version or self._transport is None:
            return
        known = self._facts if 0 <= self._facts < version else 0  # a broker that was replaced counts from the start
        while not self._stopping:
            try:
                self._facts, facts = self._transport.facts.since(known)
            except OperationalError as error:
                self._pause(self._tries.failed(error))
                continue
            if facts:
                self._inbox.post(FactsLearnt(facts))
            return

    def _next_limit(self) -> int | None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or self._allowed > 0 or self._changes)
            return None if self._stopping else self._allowed

    def _pause(self, delay: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopping, timeout=delay)


def _names(queues: Sequence[Queue]) -> str:
    return ", ".join(reprlib.repr(queue.name) for queue in queues)
