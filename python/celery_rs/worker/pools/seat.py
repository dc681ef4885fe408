"""One place in the prefork pool, as the worker's loop sees it: a page, a socket, the jobs that were handed over.

A seat outlives its children. Job numbers start at 1 with each child and rise by one; `jobs` holds what was
handed over and has neither come back as an outcome nor been returned, in order of number.
"""

import logging
import math
import socket
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, Literal

from celery_rs._core import PoolPage
from celery_rs.execution import Outcome, Said
from celery_rs.wire import TaskResult
from celery_rs.worker.pools.base import Announced, Finished, Job, Lost, PoolEvent, Progress, Returned, Running, Started
from celery_rs.worker.pools.pipe import CHUNK, Frames, encode_jobs, frame
from celery_rs.worker.pools.reports import ENDS, HEAVY, READY, SAID, STARTED, Report, decode_report, rebuild

AT_ONCE_S = 1.0
"""A child that dies this soon after its birth, with nothing started, counts as stillborn."""
LONG_JOB_S = 0.020
"""A job that runs longer than this has nothing waiting behind it."""

logger = logging.getLogger(__name__)

State = Literal["empty", "starting", "ready", "leaving"]


class Seat:
    """`closing` seats take no new jobs; their child leaves when it has none left."""

    def __init__(self, slot: int, page: PoolPage, *, most_tasks: int | None) -> None:
        self.slot = slot
        self.wanted = False
        self.state: State = "empty"
        self.closing = False
        self.sentence: tuple[int, Literal["hard", "terminate"]] | None = None
        self.deadline = math.inf  # of the states starting and leaving
        self.spawn_at: float | None = None
        self.born_at = 0.0
        self.pid = 0
        self.jobs: dict[int, Job] = {}
        self.sent = 0
        self.finished = 0
        self.handed_over = 0  # over all children
        self.hung_up = False
        self.damaged = False
        self.memory: int | None = None
        """KiB, of a child that takes no more jobs because it needs that much."""
        self._page = page
        self._most_tasks = most_tasks
        self._last_batch = 1
        self._pipe: socket.socket | None = None
        self._unsent = memoryview(b"")
        self._frames = Frames()
        self._next_report = 1
        self._early: dict[int, Report] = {}

    # a child's coming and going

    def open(self, now: float) -> tuple[socket.socket, socket.socket]:
        """Make ready for a new child; returns both ends of its socket, ours and the one to send away."""
        self._pipe, theirs = socket.socketpair()
        self._pipe.setblocking(False)
        self._page.reset()
        self.state, self.closing, self.sentence = "starting", False, None
        self.spawn_at, self.born_at, self.pid = None, now, 0
        self.jobs, self.sent, self.finished = {}, 0, 0
        self.hung_up, self.damaged, self.memory = False, False, None
        self._unsent, self._frames = memoryview(b""), Frames()
        self._next_report, self._early = 1, {}
        return self._pipe, theirs

    def leave(self) -> None:
        """End the child's input: it goes when it has read what was sent."""
        self.state = "leaving"
        if self._pipe is not None:
            with suppress(OSError):  # not connected: it has gone already
                self._pipe.shutdown(socket.SHUT_WR)

    def bury(self, how: str) -> list[PoolEvent]:
        """The child is dead and has been heard (`take`): say what became of its other jobs, and be empty."""
        events: list[PoolEvent] = []
        last = self._page.started()
        lost = [(number, job) for number, job in self.jobs.items() if number <= last]
        unstarted = [job.tag for number, job in self.jobs.items() if number > last]
        for number, job in lost:
            by_us = self.sentence[1] if self.sentence and self.sentence[0] == number else None
            events.append(Lost(job.tag, self.pid, how, by_us))
        if unstarted:
            events.append(Returned(unstarted))
        self.jobs = {}
        self.state = "empty"
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None
        return events

    def is_stillborn(self, now: float) -> bool:
        """Whether a child that dies now has never been of any use."""
        if self.state == "ready":
            return not self._page.started() and now - self.born_at < AT_ONCE_S
        return self.state == "starting"

    @property
    def is_idle(self) -> bool:
        return not self.jobs

    @property
    def is_worn_out(self) -> bool:
        return self._most_tasks is not None and self.finished >= self._most_tasks

    @property
    def has_unsent(self) -> bool:
        return bool(self._unsent)

    def fileno(self) -> int:
        return -1 if self._pipe is None else self._pipe.fileno()

    # jobs on their way down

    def room(self, batch: int, now: float) -> int:
        if self.state != "ready" or self.closing or self._unsent:
            return 0
        if self._most_tasks is None:
            most = batch
        else:
            most = min(batch, self._most_tasks - self.finished - len(self.jobs))
        if not self.jobs:
            return most
        # A second batch is sent while the first runs, so that the child never waits for one; but never
        # behind a job that is long, and never next to one of which nothing is known (batches of one).
        if batch == 1 or self._last_batch == 1 or len(self.jobs) > batch or self.runs_long(now):
            return 0
        return most

    def runs_long(self, now: float) -> bool:
        running = self._page.running()
        return running is not None and now - running[1] > LONG_JOB_S

    def hand_over(self, jobs: Sequence[Job], batch: int) -> None:
        self._last_batch = batch
        first = self.sent + 1
        self.sent += len(jobs)
        self.handed_over += len(jobs)
        self.jobs.update(enumerate(jobs, first))
        self._page.allow(self.sent)  # before the child can read of them, or it would drop them
        self._unsent = memoryview(bytes(self._unsent) + frame(encode_jobs(first, jobs)))
        self.flush()

    def flush(self) -> bool:
        """Write what the socket takes; whether that was all."""
        if self._unsent and self._pipe is not None:
            try:
                self._unsent = self._unsent[self._pipe.send(self._unsent) :]
            except BlockingIOError:
                pass
            except (BrokenPipeError, ConnectionResetError):
                self._unsent = memoryview(b"")  # the nursery is about to tell how it died
        return not self._unsent

    def recall(self) -> list[Job]:
        """Take back everything that has not started, oldest first."""
        return self._withdraw(self._page.recall(self.sent))

    def freeze(self) -> tuple[int, list[Job]]:
        """Let nothing start any more; returns the last job that has, and everything that has not."""
        last = self._page.freeze()
        return last, self._withdraw(last)

    def _withdraw(self, last: int) -> list[Job]:
        return [self.jobs.pop(number) for number in [number for number in self.jobs if number > last]]

    # what runs

    def running(self) -> Running | None:
        running = self._page.running()
        if running is None or running[0] not in self.jobs:
            return None  # nothing, or something whose outcome is here already
        return Running(self.jobs[running[0]].tag, self.pid, running[1])

    def current(self) -> tuple[int, float] | None:
        """The number of the job that runs now and when it began."""
        return self._page.running()

    def target(self, number: int) -> bool:
        """Aim the next signal at this job; False when it does not run."""
        return self._page.target(number)

    # reports on their way up

    def take(self) -> list[PoolEvent]:
        """Everything the child has told since the last call, in the order in which it happened."""
        events: list[PoolEvent] = []
        outcomes: list[Outcome] = []
        try:
            for _, kind, number, value in self._reports():
                if kind in ENDS and number in self.jobs:
                    outcomes.append(rebuild(kind, self.jobs[number].tag, value))
                    del self.jobs[number]
                    self.finished += 1
                elif kind == READY:
                    self.pid = number
                    if self.state == "starting":
                        self.state, self.deadline = "ready", math.inf
                elif kind == HEAVY:
                    self.memory = value
                elif number not in self.jobs:
                    continue  # progress told by a thread that a job left behind
                else:
                    if outcomes:
                        events.append(Finished(outcomes))
                        outcomes = []
                    events.append(self._notice(kind, self.jobs[number].tag, value))
        except (ValueError, EOFError, TypeError, LookupError) as error:
            logger.error("pool process %d reports nonsense (%s); it will be killed", self.pid, error)
            self.damaged = True
        if outcomes:
            events.append(Finished(outcomes))
        return events

    def _notice(self, kind: int, tag: str, value: Any) -> Started | Progress | Announced:
        if kind == STARTED:
            return Started(tag, self.pid, value)
        return Announced(tag, Said._make(value)) if kind == SAID else Progress(tag, TaskResult._make(value))

    def _reports(self) -> Iterator[Report]:
        """What came by socket and ring, merged by number.

        The child sends a frame whole before it reports the next thing. So when something from the ring shows a gap,
        the frame that belongs there is in the socket by now, and another look finds it; unless the child died in
        the middle of it, when another look finds nothing at all.
        """
        while not self.damaged:
            payloads = [*self._receive(), *self._page.drain()]
            for payload in payloads:
                report = decode_report(payload)
                number = report[0]
                if number != self._next_report:
                    self._early[number] = report
                    continue
                self._next_report += 1
                yield report
                while self._early and self._next_report in self._early:
                    self._next_report += 1
                    yield self._early.pop(self._next_report - 1)
            if not self._early or not payloads:
                return

    def _receive(self) -> list[bytes]:
        payloads: list[bytes] = []
        while self._pipe is not None and not self.hung_up:
            try:
                data = self._pipe.recv(CHUNK)
            except BlockingIOError:
                break
            except ConnectionResetError:  # it died before it had read everything
                data = b""
            self.hung_up = not data
            payloads += self._frames.feed(data)
        return payloads
