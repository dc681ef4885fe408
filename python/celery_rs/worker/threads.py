"""The worker's threads: named, and never silent about their own end."""

import logging
import threading
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
