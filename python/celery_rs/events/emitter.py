"""Tell monitors what happens, without ever holding up whom it happens to.

Whoever emits puts an event into a bounded queue and goes on. A thread writes what has gathered for ten milliseconds,
or while the last batch was written. While the broker is away events wait; those that find the queue full are dropped
and counted.
"""

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Sequence

from celery_rs.errors import OperationalError
from celery_rs.transports import Backoff, Transport
from celery_rs.wire import Event, EventFields, Exchange, LamportClock, seal_events

logger = logging.getLogger("celery.worker.events")

WAITING_MOST = 10_000
BATCH_MOST = 500
LINGER_S = 0.01
"""How long the first event of a batch waits for others."""


class Emitter:
    """Any thread may emit. `run` is for a thread of the owner's: it waits for events until `stop`."""

    def __init__(
        self,
        transport: Transport,
        clock: LamportClock,
        hostname: str,
        exchange: Exchange,
        *,
        most: int = WAITING_MOST,
    ) -> None:
        self.dropped = 0
        """How many events found no room since the broker was last reached."""
        self.away = False
        """Whether the broker could not be reached the last time."""
        self._transport = transport
        self._clock = clock
        self._hostname = hostname
        self._exchange = exchange
        self._most = most
        self._pid = os.getpid()
        self._events: deque[Event] = deque()
        self._changed = threading.Condition()
        self._idle = True
        self._stopping = False
        self._giving_up = threading.Event()

    def emit(
        self,
        type: str,
        fields: EventFields,
        *,
        timestamp: float | None = None,
        pid: int | None = None,
        alone: bool = False,
    ) -> None:
        """Have an event told: now, or (`timestamp`) of then; of this process, or (`pid`) of another.

        One that is `alone` is not put together with its neighbours.
        """
        if len(self._events) >= self._most:
            self.dropped += 1
            return
        when = time.time() if timestamp is None else timestamp
        self._events.append(Event(type, when, pid or self._pid, self._clock.forward(), fields, alone))
        if self._idle:
            with self._changed:
                self._changed.notify()

    def run(self) -> None:
        """Write events until the stop, then what is left."""
        while events := self._gathered():
            for key, envelopes in seal_events(events, self._exchange.name, self._hostname):
                self._write(key, envelopes)

    def finish(self) -> None:
        """What has been emitted is still written; no more comes."""
        with self._changed:
            self._stopping = True
            self._changed.notify()

    def give_up(self) -> None:
        """What cannot be written at once is not written any more."""
        self.finish()
        self._giving_up.set()

    def _gathered(self) -> Sequence[Event]:
        with self._changed:
            self._idle = True
            self._changed.wait_for(lambda: self._events or self._stopping)
            self._idle = False
            # A monitor does not see ten milliseconds, and a worker under load writes a hundredth of the messages.
            self._changed.wait_for(lambda: self._stopping or len(self._events) >= BATCH_MOST, LINGER_S)
            return [self._events.popleft() for _ in range(min(len(self._events), BATCH_MOST))]

    def _write(self, key: str, envelopes: Sequence[bytes]) -> None:
        backoff = Backoff()
        while True:
            try:
                self._transport.announce(self._exchange, key, envelopes)
            except OperationalError as error:
                if not self.away:
                    logger.error("events: %s; they wait until the broker is back, %d at most", error, self._most)
                self.away = True
                if self._giving_up.wait(backoff.next()):
                    return
            else:
                if self.away:
                    self._say_what_was_lost()
                return

    def _say_what_was_lost(self) -> None:
        self.away = False
        lost, self.dropped = self.dropped, 0
        if lost:
            logger.warning("events: the broker is back; %d event(s) were dropped meanwhile", lost)
