"""The worker's threads: named, never silent about their own end, and never waited for without end."""

import logging
import threading
import time
from collections.abc import Callable

from celery_rs.worker.inbox import Inbox, ThreadDied

logger = logging.getLogger("celery.worker")


def thread(name: str, run: Callable[[], None], box: Inbox) -> threading.Thread:
    """A thread for `run`, not started. An exception that leaves it is logged, and the loop stops the worker."""

    def top() -> None:
        try:
            run()
        except Exception as error:
            logger.critical("worker: the thread %r failed", name, exc_info=True)
            box.post(ThreadDied(f"its thread {name!r} failed: {error!r}"))

    return threading.Thread(target=top, name=name, daemon=True)


class Grace:
    """How long the parts of a stopping worker may take together: the clock starts with the first that asks."""

    def __init__(self, seconds: float, least: float = 1.0) -> None:
        self._seconds = seconds
        self._least = least
        self._until: float | None = None

    def left(self) -> float:
        """Seconds; never less than `least`, so that each part gets its chance."""
        now = time.monotonic()
        if self._until is None:
            self._until = now + self._seconds
        return max(self._least, self._until - now)


def within(seconds: float, what: str, call: Callable[[], None]) -> None:
    """Have this done, but wait no longer for it: what hangs is left behind. What it raises is logged."""

    def attempt() -> None:
        try:
            call()
        except Exception as error:  # whatever it is, it must not keep the other parts from being stopped
            logger.warning("worker: %s failed: %s", what, error)

    attempting = threading.Thread(target=attempt, name=what, daemon=True)
    attempting.start()
    attempting.join(seconds)
    if attempting.is_alive():
        logger.warning("worker: %s takes more than %g seconds; the worker ends without it", what, seconds)
