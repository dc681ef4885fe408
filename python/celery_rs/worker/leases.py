"""Keep what we hold, and take back what the dead held.

A thread of its own that shares no queue with completer, receiver or loop: a result store that hangs must not cost
us our leases.
"""

import logging
import threading

from celery_rs.errors import OperationalError
from celery_rs.transports import Consumer
from celery_rs.worker.inbox import Inbox, LeasesLost, Orphaned
from celery_rs.worker.reconnect import Complaint
from celery_rs.worker.threads import thread

logger = logging.getLogger("celery.worker.leases")

STOP_S = 5.0


class Leases:
    """Thread: waits for the next round or for the stop."""

    def __init__(self, consumer: Consumer, inbox: Inbox, *, interval: float = 2.0) -> None:
        self._consumer = consumer
        self._inbox = inbox
        self._interval = interval
        self._stopping = threading.Event()
        self._thread = thread("leases", self._run, inbox)

    def start(self) -> None:
        self._thread.start()

    def stop(self, grace: float = STOP_S) -> None:
        """Waits at most `grace` seconds for a broker that does not answer."""
        self._stopping.set()
        self._thread.join(grace)

    def _run(self) -> None:
        complaint = Complaint(logger, "leases")
        while True:
            try:
                self._round()
            except OperationalError as error:
                complaint.failed(error)
            else:
                complaint.worked()
            if self._stopping.wait(self._interval):
                return

    def _round(self) -> None:
        lost = self._consumer.renew()
        if lost:
            self._inbox.post(LeasesLost(lost))
        recovered = self._consumer.recover()
        if recovered.returned:
            logger.warning("returned %d message(s) of dead workers to their queues", recovered.returned)
        if recovered.orphans:
            self._inbox.post(Orphaned(recovered.orphans))
