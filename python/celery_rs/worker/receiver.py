"""Bring messages from the broker to the inbox, as many as the loop allows.

A thread of its own, because `receive` blocks: in the broker while it may receive, else on its allowance.
Losing the broker is its business alone: it tries again with backoff for as long as the worker lives.
"""

import logging
import threading

from celery_rs.errors import OperationalError
from celery_rs.transports import Backoff, Consumer
from celery_rs.worker.inbox import Delivered, Inbox
from celery_rs.worker.threads import thread

logger = logging.getLogger("celery.worker.consumer")

WAIT_S = 5.0
"""The longest single wait in the broker."""


class Receiver:
    """Thread: waits for the loop's allowance, then in `Consumer.receive`."""

    def __init__(self, consumer: Consumer, inbox: Inbox) -> None:
        self._consumer = consumer
        self._inbox = inbox
        self._allowed = 0
        self._posted = 0
        self._stopping = False
        self._changed = threading.Condition()
        self._thread = thread("receiver", self._run, inbox)

    def start(self) -> None:
        self._thread.start()

    def allow(self, limit: int, *, handled: int) -> None:
        """Up to `limit` more messages may be received; replaces the last allowance.

        `handled` is how many `Delivered` the loop has dealt with: one that knows nothing of the last delivery is void.
        """
        if limit == self._allowed or handled != self._posted:
            return
        with self._changed:
            if handled == self._posted:
                self._allowed = limit
                self._changed.notify()

    def stop(self) -> None:
        """No more is received after this returns."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._consumer.wake()
        self._thread.join()

    def _run(self) -> None:
        backoff = Backoff()
        while (limit := self._next_limit()) is not None:
            try:
                received = self._consumer.receive(limit, WAIT_S)
            except OperationalError as error:
                delay = backoff.next()
                logger.error("consumer: %s; trying again in %.2f seconds", error, delay)
                self._pause(delay)
                continue
            backoff.reset()
            if received.deliveries or received.lost:
                with self._changed:
                    self._allowed = 0
                    self._posted += 1
                self._inbox.post(Delivered(received.deliveries, received.lost))

    def _next_limit(self) -> int | None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or self._allowed > 0)
            return None if self._stopping else self._allowed

    def _pause(self, delay: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopping, timeout=delay)
