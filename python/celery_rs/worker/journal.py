"""What the worker writes to its log about tasks, in Celery's words, and what it counts."""

import logging
import signal
import sys
from collections import Counter
from collections.abc import Iterable

from celery_rs.execution import Outcome
from celery_rs.worker.deadlines import Overrun
from celery_rs.worker.dispatcher import Dead, Entry
from celery_rs.worker.lifecycle import Phase
from celery_rs.worker.pools import Lost

logger = logging.getLogger("celery.worker.strategy")
trace = logging.getLogger("celery.app.trace")


class Counts:
    """How many tasks of each name have ended here."""

    def __init__(self) -> None:
        self.total: Counter[str] = Counter()

    def add(self, task: str) -> None:
        self.total[task] += 1


def received(entries: Iterable[Entry]) -> None:
    if logger.isEnabledFor(logging.INFO):
        for entry in entries:
            logger.info("Task %s received", _name(entry))


def expired(entry: Entry) -> None:
    logger.info("Discarding revoked task: %s (expired)", _name(entry))


def buried(dead: Dead) -> None:
    """A message that cannot be run; where it is now, and why."""
    logger.error("A message of queue %r became a dead letter (%s): %s", dead.delivery.queue, dead.reason, dead.detail)


def ended(entry: Entry, outcome: Outcome) -> None:
    """One line for the end of a run; an unexpected failure with its traceback."""
    if outcome.end == "success":
        if trace.isEnabledFor(logging.INFO):
            trace.info("Task %s succeeded in %ss: %s", _name(entry), outcome.runtime, outcome.text)
    elif outcome.end == "retry":
        trace.info("Task %s retry: %s", _name(entry), outcome.text)
    elif outcome.end == "ignore":
        trace.info("Task %s ignored", _name(entry))
    elif outcome.end in ("reject", "requeue"):
        trace.warning("Task %s %s", _name(entry), outcome.text)
    elif outcome.expected:
        trace.info("Task %s raised expected: %s", _name(entry), outcome.text)
    else:
        trace.error("Task %s raised unexpected: %s\n%s", _name(entry), outcome.text, outcome.traceback or "")


def overrun(entry: Entry, over: Overrun) -> None:
    if over.how == "soft":
        logger.warning("Soft time limit (%ss) exceeded for %s", over.limit, _name(entry))
    else:
        logger.error("Hard time limit (%ss) exceeded for %s", over.limit, _name(entry))


def lost(entry: Entry, event: Lost) -> None:
    if event.by_us is None:
        logger.error("Task %s: its process %d died (%s)", _name(entry), event.pid, event.how)


def shutting_down(before: Phase, after: Phase, number: int) -> None:
    """Say what a signal has started."""
    if after == before:
        return
    if after == Phase.DRAINING:
        _say("worker: Warm shutdown (MainProcess)")
        if number == signal.SIGINT:
            _say("worker: Hitting Ctrl+C again will terminate all running tasks!")
    elif after == Phase.STOPPING:
        _say("worker: Cold shutdown (MainProcess)")


def _say(line: str) -> None:
    """To the terminal, whatever the log level is."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _name(entry: Entry) -> str:
    return f"{entry.envelope.shadow or entry.envelope.task}[{entry.envelope.id}]"
