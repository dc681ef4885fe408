"""Hear remote control requests and pass those for this worker on to the loop."""

import logging
import threading

from celery_rs.errors import OperationalError
from celery_rs.transports import Backoff, Transport
from celery_rs.wire import Exchange, Unreadable, open_request
from celery_rs.worker.inbox import Asked, Inbox
from celery_rs.worker.reconnect import Complaint
from celery_rs.worker.threads import thread

logger = logging.getLogger("celery.worker.control")

WAIT_S = 5.0


class Listener:
    """Thread: waits in the subscription."""

    def __init__(self, transport: Transport, inbox: Inbox, hostname: str, exchange: Exchange) -> None:
        self._inbox = inbox
        self._hostname = hostname
        self._stopping = threading.Event()
        self._subscription = transport.subscribe(exchange, "#", f"{hostname}.{exchange.name}")
        self._thread = thread("listener", self._run, inbox)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._subscription.wake()
        self._thread.join()
        self._subscription.close()

    def _run(self) -> None:
        backoff = Backoff()
        complaint = Complaint(logger, "control")
        while not self._stopping.is_set():
            try:
                envelopes = self._subscription.receive(WAIT_S)
            except OperationalError as error:
                complaint.failed(error)
                self._stopping.wait(backoff.next())
                continue
            complaint.worked()
            backoff.reset()
            for envelope in envelopes:
                self._hear(envelope)

    def _hear(self, envelope: bytes) -> None:
        request = open_request(envelope)
        if isinstance(request, Unreadable):
            logger.warning("control: ignored a request: %s", request.reason)
        elif request.is_for(self._hostname):
            self._inbox.post(Asked(request))
