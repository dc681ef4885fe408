"""Tell signal receivers what the worker's main process decides about tasks: user code on the loop's thread.

Where nobody listens it costs one look. A receiver that takes long holds up the whole worker, so each telling is timed,
and one that has not come back after a second is named in the log while it still hangs.
"""

import logging
import threading
import time
from typing import Any

from celery_rs import signals
from celery_rs.context import AppLike
from celery_rs.signals import Signal
from celery_rs.worker.dispatcher import Dead, Entry, Rulings
from celery_rs.worker.request import Message, Request

logger = logging.getLogger("celery.worker")

SLOW_S = 1.0


class Notices:
    """`sender` is what Celery calls the consumer; the signals of one task have the task itself."""

    def __init__(self, app: AppLike, hostname: str, sender: object) -> None:
        self._app = app
        self._hostname = hostname
        self._sender = sender
        self._watchdog = Watchdog()

    def received(self, rulings: Rulings) -> None:
        """What came and is not to be dropped at once: that has a signal of its own."""
        if signals.task_received.receivers:
            dropped = {expired.entry.tag for expired in rulings.expired}
            dropped |= {revoked.entry.tag for revoked in rulings.revoked}
            for entry in rulings.received:
                if entry.tag not in dropped:
                    self.tell(signals.task_received, self._sender, request=self._request(entry))

    def dead(self, dead: Dead) -> None:
        """A message that becomes a dead letter."""
        if dead.reason == "unknown-task":
            if signals.task_unknown.receivers:
                envelope: Any = dead.delivery.envelope
                self.tell(
                    signals.task_unknown,
                    self._sender,
                    message=Message(envelope),
                    exc=dead.error,
                    name=envelope.task,
                    id=envelope.id,
                )
        elif signals.task_rejected.receivers:
            self.tell(signals.task_rejected, self._sender, message=Message(dead.delivery.envelope), exc=dead.error)

    def revoked(self, entry: Entry, *, expired: bool = False, signum: int | None = None) -> None:
        """A task that does not run, or (with the number of a signal) does not run on."""
        if signals.task_revoked.receivers:
            request = self._request(entry)
            self.tell(
                signals.task_revoked,
                request.task,
                request=request,
                terminated=signum is not None,
                signum=signum,
                expired=expired,
            )

    def tell(self, signal: Signal, sender: object, **named: Any) -> None:
        """Send a signal whose receivers are watched."""
        with self._watchdog.watching(signal):
            signal.send(sender, **named)

    def _request(self, entry: Entry) -> Request:
        acknowledged = entry.begun and not entry.policy.late
        return Request(
            self._app, self._hostname, entry.envelope, redelivered=entry.redelivered, acknowledged=acknowledged
        )


class Watchdog:
    """Thread, from the first signal that is sent: names in the log what has run for a second and runs still.

    It waits for something to begin, and looks four times a second while things do: beginning costs no system call then.
    """

    def __init__(self, slow_s: float = SLOW_S) -> None:
        self._slow_s = slow_s
        self._changed = threading.Condition()
        self._idle = False
        self._current: tuple[Signal | str, float] | None = None
        self._thread: threading.Thread | None = None

    def watching(self, what: "Signal | str") -> "Watchdog":
        """A block in which this signal's receivers run, or whatever else that is called so."""
        if self._thread is None:
            # A daemon: what hangs for ever must not keep it, and it keeps nobody.
            self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
            self._thread.start()
        self._current = (what, time.monotonic())
        return self

    def __enter__(self) -> None:
        if self._idle:
            with self._changed:
                self._changed.notify()

    def __exit__(self, *raised: object) -> None:
        self._current = None

    def _run(self) -> None:
        told = None
        while True:
            with self._changed:
                self._idle = True  # before the look, or a beginning between the two would go unheard
                while self._current is None or self._current is told:
                    self._changed.wait()
                self._idle = False
                self._changed.wait(self._slow_s / 4)
            current: tuple[Signal | str, float] | None = self._current
            if current is not None and time.monotonic() - current[1] > self._slow_s:
                told = current
                self._name(current[0])

    def _name(self, what: Signal | str) -> None:
        logger.warning(
            "the worker has waited over %g s for %s; it does nothing else meanwhile", self._slow_s, _described(what)
        )


def _described(what: Signal | str) -> str:
    if isinstance(what, str):
        return what
    names = ", ".join(repr(known.find()) for known in what.receivers)
    return f"a receiver of the signal {what.name} ({names})"
