"""The child's loop: take jobs from the socket, run them, leave the outcomes in the page.

A finished outcome is in shared memory before the next job starts, so a crash loses only the job that
runs. The parent hears of outcomes by a doorbell: at the end of each batch, and between jobs when the
oldest unheard one has waited 2 ms; what a long job hides, the parent finds by itself.
"""

import logging
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from time import monotonic
from types import FrameType
from typing import Any, NamedTuple, NoReturn

from celery_rs._core import PoolPage
from celery_rs.errors import SoftTimeLimitExceeded
from celery_rs.execution import Outcome, Said, Tell, Work
from celery_rs.wire import TaskResult
from celery_rs.worker.pools.pipe import CHUNK, DOORBELL, Frames, decode_jobs, frame
from celery_rs.worker.pools.reports import (
    HEAVY,
    PROGRESS,
    READY,
    SAID,
    STARTED,
    encode_report,
    ending,
)

RING_AFTER_S = 0.002
LARGEST_IN_RING = PoolPage.SIZE // 4
SOFT_LIMIT_SIGNAL = signal.SIGUSR1

logger = logging.getLogger(__name__)

Run = Callable[[Work, Tell], Outcome]
"""Run one task to its outcome, whatever it raises; what escapes ends the child."""


class Duties(NamedTuple):
    """What a child does for its living.

    `interruptible` says whether user code runs right now: only then may a soft limit raise.
    `before_fork` is called with the pool by the process that forks, before each fork; `enter` in the child before the
    first job, with its place in the pool, from 1; `leave` after the last, with its exit code (not when it is killed).
    A child that has come to need more than `most_memory` KiB takes no more jobs, and is replaced.
    """

    run: Run
    interruptible: Callable[[], bool]
    enter: Sequence[Callable[[int], None]] = ()
    leave: Sequence[Callable[[int], None]] = ()
    before_fork: Sequence[Callable[[object], None]] = ()
    most_memory: int | None = None


def _end_copy(work: Work) -> NoReturn:
    """A process that the task forked came back to where only its parent belongs: socket and page are not its own."""
    logger.error("task %s[%s] forked a process that did not end by itself (os._exit); it ends here", work.task, work.id)
    os._exit(1)


def memory_needed() -> int:
    """The most that this process has had in memory so far, in KiB."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most // 1024 if sys.platform == "darwin" else most


class Child:
    """Serves one socket until its other end is closed; `index` is its place in the pool, from 1."""

    def __init__(self, index: int, pipe: socket.socket, page: PoolPage, duties: Duties) -> None:
        self._index = index
        self._pipe = pipe
        self._page = page
        self._duties = duties
        self._is_copy = False
        self._reports = 0
        self._unheard_since = 0.0  # 0.0: the parent knows of every report
        self._writing = threading.Lock()  # a task's own threads may report progress
        self._shielded = False
        self._overdue = False
        self._heavy = False

    def serve(self) -> None:
        os.register_at_fork(after_in_child=self._on_fork)
        signal.signal(SOFT_LIMIT_SIGNAL, self._on_soft_limit)
        for enter in self._duties.enter:
            enter(self._index)
        try:
            self._serve()
        except (BrokenPipeError, ConnectionResetError):
            return  # the parent is gone, and with it whoever wanted to know
        except BaseException:
            self._leave(1)
            raise
        self._leave(0)

    def _on_fork(self) -> None:
        """In a process that a task has forked. Asking for the pid after each task would cost a system call."""
        self._is_copy = True

    def _leave(self, exit_code: int) -> None:
        for leave in self._duties.leave:
            leave(exit_code)

    def _serve(self) -> None:
        frames = Frames()
        self._report(READY, os.getpid())
        self._ring()
        while data := self._pipe.recv(CHUNK):
            for payload in frames.feed(data):
                if not self._heavy:  # else the parent has been told, and takes back what did not start
                    self._run_batch(*decode_jobs(payload))

    def _run_batch(self, first: int, works: Sequence[Work]) -> None:
        page, run, most_memory = self._page, self._duties.run, self._duties.most_memory
        for job, work in enumerate(works, first):
            now = monotonic()
            if self._unheard_since and now - self._unheard_since > RING_AFTER_S:
                self._ring()
            if not page.start(job, now):
                continue  # recalled: the parent has given it to somebody else
            if work.announce:
                self._report(STARTED, job, now)
                self._ring()
            outcome = run(work, partial(self._tell, job))
            if self._is_copy:
                _end_copy(work)
            kind, value = ending(outcome)
            self._report(kind, job, value)
            page.finish(job)
            if most_memory is not None and (needed := memory_needed()) > most_memory:
                self._heavy = True
                self._report(HEAVY, job, needed)
                break
        if self._unheard_since:
            self._ring()

    def _tell(self, job: int, news: TaskResult | Said) -> None:
        """Report progress or an event; called by user code, where a soft limit may strike: not in mid-report."""
        kind = SAID if isinstance(news, Said) else PROGRESS
        if threading.current_thread() is not threading.main_thread():  # signals only ever raise in the main one
            self._report(kind, job, tuple(news))
            self._ring()
            return
        self._shielded = True
        try:
            self._report(kind, job, tuple(news))
            self._ring()
        finally:
            self._shielded = False
        if self._overdue:
            self._overdue = False
            raise SoftTimeLimitExceeded

    def _on_soft_limit(self, _signum: int, _frame: FrameType | None) -> None:
        if not self._page.targeted() or not self._duties.interruptible():
            return  # the job it was meant for is over
        if self._shielded:
            self._overdue = True
        else:
            raise SoftTimeLimitExceeded

    def _report(self, kind: int, job: int, value: Any = None) -> None:
        with self._writing:
            self._reports += 1
            payload = encode_report(self._reports, kind, job, value)
            if len(payload) > LARGEST_IN_RING or not self._page.push(payload):
                self._pipe.sendall(frame(payload))  # waits for the parent, which always reads
            elif not self._unheard_since:
                self._unheard_since = monotonic()

    def _ring(self) -> None:
        with self._writing:
            self._unheard_since = 0.0
            # Without room for four bytes hundreds of doorbells wait unread: the parent will look anyway.
            with suppress(BlockingIOError):
                self._pipe.send(DOORBELL, socket.MSG_DONTWAIT)
