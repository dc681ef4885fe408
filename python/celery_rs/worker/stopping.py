"""A signal has come: what it means, what is said about it, and who is told."""

import signal

from celery_rs import signals
from celery_rs.worker import journal
from celery_rs.worker.lifecycle import Lifecycle


def obey(lifecycle: Lifecycle, number: int, hostname: str, *, busy: bool, now: float) -> None:
    """Take the signal in; `busy` says whether tasks run, `now` is monotonic seconds."""
    before, manner = lifecycle.phase, lifecycle.manner(number)
    after = lifecycle.signalled(number, busy=busy, now=now)
    journal.shutting_down(before, after, number, lifecycle.soft_timeout)
    if manner is not None and signals.worker_shutting_down.receivers:
        signals.worker_shutting_down.send(
            hostname, sig=signal.Signals(number).name, how=manner, exitcode=lifecycle.exit_code
        )
