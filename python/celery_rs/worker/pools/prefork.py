"""The prefork pool: jobs run in child processes, each with a page of shared memory and a socket of its own.

Everything here runs in the loop's thread and never waits. A child's death is what the nursery says, not what its
socket says: only the nursery knows how it died, and by then nothing can follow in page or socket.
"""

import logging
import math
import mmap
import selectors
import signal
import socket
import threading
from collections.abc import Callable, Sequence
from functools import partial
from time import monotonic
from typing import Literal

from celery_rs._core import PoolPage
from celery_rs.errors import ImproperlyConfigured
from celery_rs.transports import Tag
from celery_rs.worker.pools.base import Job, PoolBroken, PoolEvent, Returned, Running, Watch
from celery_rs.worker.pools.child import SOFT_LIMIT_SIGNAL, Child, Duties
from celery_rs.worker.pools.nursery import Death, Nursery
from celery_rs.worker.pools.respawn import Respawn
from celery_rs.worker.pools.seat import LONG_JOB_S, Seat
from celery_rs.worker.pools.shares import shares

LEAVE_WITHIN_S = 5.0
"""A child without work that does not end within this time of being told to is killed."""
STOP_GRACE_S = 1.0
HIDDEN_FOR_S = 0.005
"""Outcomes that wait in a child's page while its next job runs are fetched after that time."""
SPARE_SLOTS = 32
"""By how many children a pool can grow at the least."""
SOON_DONE = 1 / 8
"""So much of a batch, 0.6 ms of work, is not worth the wake-up of another child."""

logger = logging.getLogger(__name__)


class PreforkPool:
    """`size` children; it can grow to `most`, or to twice its first size, or by 32, whichever is more."""

    blocks = False

    def __init__(
        self,
        duties: Duties,
        size: int,
        *,
        most: int | None = None,
        max_tasks_per_child: int | None = None,
        alive_within: float = 4.0,
        limits: tuple[float, float] = (0, 0),
    ) -> None:
        """`alive_within`: seconds that a child may take to be ready for jobs.

        `limits` are the worker's own soft and hard ones, for who asks; the loop enforces limits.
        """
        if size < 1:
            raise ValueError(f"a pool needs at least 1 process, got {size!r}")
        self.size = size
        self._duties = duties
        self._alive_within = alive_within
        self._max_tasks_per_child = max_tasks_per_child
        self._limits = limits
        slots = self.most = max(2 * size, size + SPARE_SLOTS, most or 0)
        # Mapped once, before the fork, for as many children as there may ever be: what the nursery does not have,
        # no child can share.
        try:
            memory = mmap.mmap(-1, slots * PoolPage.SIZE)
        except (OSError, OverflowError) as error:
            raise ImproperlyConfigured(
                f"expected a number of processes that this machine has memory for, got {size} ({error}); choose fewer"
            ) from None
        self._pages = [PoolPage(memory, slot * PoolPage.SIZE) for slot in range(slots)]
        self._seats = [Seat(slot, page, most_tasks=max_tasks_per_child) for slot, page in enumerate(self._pages)]
        self._used: list[Seat] = []
        """Those that have a child or are to have one: what is only there to grow into costs nothing."""
        self._respawn = Respawn(patience=max(5, 2 * size))
        self._nursery: Nursery | None = None
        self._stuck = selectors.DefaultSelector()  # sockets with something unsent; readable itself when one is writable
        self._unwatch: dict[int, Callable[[], None]] = {}  # by slot
        self._unwatch_rest: list[Callable[[], None]] = []
        self._post: Callable[[PoolEvent], None] = _refuse
        self._watch: Watch | None = None
        self._broken = False

    # life

    def start(self, post: Callable[[PoolEvent], None], watch: Watch) -> None:
        """Fork the nursery and order the children; they take jobs a little later. Call it before any thread exists."""
        if self._nursery is not None:
            return
        others = [thread.name for thread in threading.enumerate() if thread is not threading.current_thread()]
        if others:
            logger.warning(
                "the pool is forked while other threads run (%s); a lock they hold stays locked", ", ".join(others)
            )
        self._post, self._watch = post, watch
        self._nursery = Nursery(self._serve, [partial(prepare, self) for prepare in self._duties.before_fork])
        self._unwatch_rest = [
            watch(self._nursery.fileno(), self._on_nursery),
            watch(self._stuck.fileno(), self._on_writable),
        ]
        self._used = self._seats[: self.size]
        for seat in self._used:
            seat.wanted = True
            self._spawn(seat, monotonic())

    def stop(self) -> None:
        """End the children: those at work at once, the others after what they do on leaving (at most a second)."""
        nursery, self._nursery = self._nursery, None
        if nursery is None:
            return
        for seat in self._used:
            self._post_all(seat.take())
            if seat.state == "empty":
                continue
            if not seat.is_idle:
                seat.freeze()
                nursery.signal(seat.slot, signal.SIGKILL)
            seat.leave()
        for unwatch in (*self._unwatch_rest, *self._unwatch.values()):
            unwatch()
        self._unwatch_rest, self._unwatch = [], {}
        nursery.stop(STOP_GRACE_S)
        for seat in self._used:
            self._post_all(seat.take())
            seat.wanted, seat.spawn_at = False, None
            seat.bury("stopped")  # what still ran ends with the worker: nobody is told
        self._stuck.close()

    def resize(self, size: int) -> None:
        """Children that are too many leave when their job is done: the idle ones first, and soon."""
        if not 0 <= size <= self.most:
            raise ValueError(f"expected 0 to {self.most} processes, got {size!r}")
        self.size = size
        now = monotonic()
        wanted = [seat for seat in self._used if seat.wanted]
        for seat in sorted(wanted, key=lambda seat: len(seat.jobs))[: max(0, len(wanted) - size)]:
            seat.wanted = False
            seat.spawn_at = None
            self._retire(seat, now)
        spare = sorted((seat for seat in self._seats if not seat.wanted), key=lambda seat: seat.state != "empty")
        for seat in spare[: max(0, size - len(wanted))]:
            seat.wanted = True  # one that is leaving is followed by another as soon as it is gone
            if seat.state == "empty":
                self._used.append(seat)
                self._spawn(seat, now)
        self._used = self._in_use()

    def restart(self) -> None:
        """Replace every child by a new one, each when its job is done."""
        now = monotonic()
        for seat in self._used:
            if seat.wanted and seat.state in ("starting", "ready"):
                self._retire(seat, now)

    # jobs

    def room(self, *, batch: int) -> int:
        now = monotonic()
        return 0 if self._broken else sum(seat.room(batch, now) for seat in self._used)

    def submit(self, jobs: Sequence[Job], *, batch: int) -> None:
        """Idle children first, and evenly, so that nothing waits for its neighbour; what is soon done goes to one."""
        now = monotonic()
        seats = () if self._broken else self._used
        takers = [(seat, room) for seat in seats if (room := seat.room(batch, now)) > 0]
        takers.sort(key=lambda taker: len(taker[0].jobs))
        rooms = [room for _, room in takers]
        start = 0
        for (seat, _), share in zip(takers, shares(len(jobs), rooms, int(batch * SOON_DONE)), strict=False):
            self._hand_over(seat, jobs[start : start + share], batch)
            start += share
        self._post_returned(jobs[start:])  # more than there was room for

    def running(self) -> Sequence[Running]:
        return [running for seat in self._used if seat.jobs and (running := seat.running())]

    def recall(self, tags: Sequence[Tag] | None = None) -> None:
        asked = None if tags is None else frozenset(tags)
        for seat in self._used:
            if not seat.jobs or (asked is not None and not any(job.tag in asked for job in seat.jobs.values())):
                continue
            # A page takes back all or nothing; what nobody asked for is handed over again at once.
            back = seat.recall()
            self._post_returned([job for job in back if asked is None or job.tag in asked])
            kept = [job for job in back if asked is not None and job.tag not in asked]
            if kept:
                self._hand_over(seat, kept, len(kept) + 1)

    def interrupt(self, tag: Tag, how: Literal["soft", "hard"] | signal.Signals) -> None:
        found = self._find(tag)
        if found is None:
            return
        seat, number = found
        if how == "soft" or how == SOFT_LIMIT_SIGNAL:
            if seat.target(number):
                self._signal(seat, SOFT_LIMIT_SIGNAL)
            return
        running = seat.current()
        if running is None or running[0] != number:
            self.recall([tag])  # not started yet; or finished meanwhile, when this does nothing
            return
        # Whatever comes of the signal, nothing starts in this child any more: it could hit the wrong job.
        last, unstarted = seat.freeze()
        self._post_returned(unstarted)
        if last == number:
            seat.sentence = (number, "hard" if how == "hard" else "terminate")
            self._signal(seat, signal.SIGKILL if how == "hard" else how)
        self._close(seat, monotonic())

    # time

    def tick(self, now: float) -> float | None:
        wishes = [wish for seat in self._used if (wish := self._look_after(seat, now)) is not None]
        return min(wishes, default=None)

    def _look_after(self, seat: Seat, now: float) -> float | None:
        """What is due for this seat; returns when to look again."""
        if seat.state == "empty":
            if seat.spawn_at is not None and now >= seat.spawn_at:
                self._spawn(seat, now)
            return seat.spawn_at
        if seat.state != "ready":
            if now < seat.deadline:
                return seat.deadline
            logger.warning("pool process in slot %d is %s for too long; it is killed", seat.slot, seat.state)
            seat.deadline = math.inf
            self._signal(seat, signal.SIGKILL)
            return None
        if len(seat.jobs) < 2:
            return None
        running = seat.current()
        if running is None:
            return now + LONG_JOB_S
        number, began_at = running
        hides_outcomes = next(iter(seat.jobs)) < number
        due = began_at + (HIDDEN_FOR_S if hides_outcomes else LONG_JOB_S)
        if now < due:
            return due
        self._on_reports(seat)
        if now >= began_at + LONG_JOB_S:
            self._post_returned(seat.recall())
        return began_at + LONG_JOB_S if len(seat.jobs) > 1 else None

    def describe(self) -> dict[str, object]:
        alive = [seat for seat in self._used if seat.state in ("ready", "leaving")]
        writes = [seat.handed_over for seat in self._used if seat.wanted]
        total = sum(writes)
        shares = [f"{share / total if total else 0:.2f}" for share in writes]
        return {
            "implementation": f"{type(self).__module__}:{type(self).__name__}",
            "max-concurrency": self.size,
            "processes": [seat.pid for seat in alive],
            "max-tasks-per-child": self._max_tasks_per_child or "N/A",
            "put-guarded-by-semaphore": False,
            "timeouts": list(self._limits),
            "writes": {
                "total": total,
                "avg": f"{1 / len(writes) if total else 0:.2f}",
                "all": ", ".join(shares),
                "raw": ", ".join(map(str, writes)),
                "strategy": "fair",
                "inqueues": {"total": len(writes), "active": sum(bool(seat.jobs) for seat in self._used)},
            },
        }

    # children

    def _serve(self, slot: int, pipe: socket.socket) -> None:
        """The life of a child, in its own process."""
        Child(slot + 1, pipe, self._pages[slot], self._duties).serve()

    def _spawn(self, seat: Seat, now: float) -> None:
        assert self._nursery is not None
        assert self._watch is not None
        try:
            ours, theirs = seat.open(now)
        except OSError as error:  # out of descriptors
            self._replace(seat, f"no socket: {error.strerror}", stillborn=True, now=now)
            return
        seat.deadline = now + self._alive_within
        self._unwatch[seat.slot] = self._watch(ours.fileno(), lambda: self._on_reports(seat))
        self._nursery.spawn(seat.slot, theirs)
        theirs.close()

    def _in_use(self) -> list[Seat]:
        return [seat for seat in self._seats if seat.wanted or seat.state != "empty"]

    def _retire(self, seat: Seat, now: float) -> None:
        """Let the child do what it does, and nothing more."""
        if seat.state == "ready":
            self._post_returned(seat.recall())
        self._close(seat, now)

    def _close(self, seat: Seat, now: float) -> None:
        """No more jobs for this child; it leaves when it has none left."""
        seat.closing = True
        if seat.state in ("ready", "starting") and seat.is_idle:
            seat.leave()
            seat.deadline = now + LEAVE_WITHIN_S

    def _hand_over(self, seat: Seat, jobs: Sequence[Job], batch: int) -> None:
        seat.hand_over(jobs, batch)
        if seat.has_unsent and seat not in self._stuck.get_map():
            self._stuck.register(seat, selectors.EVENT_WRITE, seat)

    def _signal(self, seat: Seat, signum: int) -> None:
        if self._nursery is not None:
            self._nursery.signal(seat.slot, signum)

    def _find(self, tag: Tag) -> tuple[Seat, int] | None:
        for seat in self._used:
            for number, job in seat.jobs.items():
                if job.tag == tag:
                    return seat, number
        return None

    def _post_all(self, events: Sequence[PoolEvent]) -> None:
        for event in events:
            self._post(event)

    def _post_returned(self, jobs: Sequence[Job]) -> None:
        if jobs:
            self._post(Returned([job.tag for job in jobs]))

    # what the loop's selector calls

    def _on_reports(self, seat: Seat) -> None:
        self._post_all(seat.take())
        if seat.finished:
            self._respawn.worked()
        if seat.hung_up or seat.damaged:
            self._forget(seat)
        if seat.damaged:
            self._post_returned(seat.freeze()[1])
            self._signal(seat, signal.SIGKILL)
            seat.closing = True
        elif seat.memory is not None and not seat.closing:
            logger.warning(
                "pool process %d needs %d KiB of memory, more than %s; it is replaced",
                seat.pid,
                seat.memory,
                self._duties.most_memory,
            )
            self._retire(seat, monotonic())
        elif seat.closing or seat.is_worn_out:
            self._close(seat, monotonic())

    def _on_writable(self) -> None:
        for key, _ in self._stuck.select(0):
            if key.data.flush():
                self._stuck.unregister(key.fileobj)

    def _on_nursery(self) -> None:
        deaths = self._nursery.deaths() if self._nursery is not None else []
        if deaths is None:
            self._lose_nursery()
            return
        for death in deaths:
            self._on_death(death, monotonic())

    def _on_death(self, death: Death, now: float) -> None:
        seat = self._seats[death.slot]
        self._post_all(seat.take())
        stillborn, expected = seat.is_stillborn(now), seat.state == "leaving" or seat.sentence is not None
        self._forget(seat)
        if seat in self._stuck.get_map():
            self._stuck.unregister(seat)
        self._post_all(seat.bury(death.how))
        if not expected:
            logger.warning("pool process %d has died: %s", death.pid, death.how)
        self._replace(seat, death.how, stillborn=stillborn, now=now)

    def _replace(self, seat: Seat, how: str, *, stillborn: bool, now: float) -> None:
        delay = self._respawn.delay(stillborn=stillborn, now=now)
        if delay is None:
            self._break(
                f"{self._respawn.in_a_row} pool processes in a row died before they could run a task, "
                f"the last one of {how}; see the log above for their errors"
            )
        elif not seat.wanted:
            self._used = self._in_use()
        elif not self._broken:
            if delay:
                seat.spawn_at = now + delay
            else:
                self._spawn(seat, now)

    def _forget(self, seat: Seat) -> None:
        """Stop listening to the socket of a child that will say nothing more."""
        unwatch = self._unwatch.pop(seat.slot, None)
        if unwatch is not None:
            unwatch()

    def _lose_nursery(self) -> None:
        """Without the nursery there are no children: they die with it, and nobody else will say so."""
        assert self._nursery is not None
        how = self._nursery.obituary()
        for seat in self._used:
            self._post_returned(seat.freeze()[1])
            self._post_all(seat.take())
            self._post_all(seat.bury(f"with its nursery: {how}"))
        for unwatch in (*self._unwatch_rest, *self._unwatch.values()):
            unwatch()
        self._unwatch_rest, self._unwatch = [], {}
        self._break(f"the nursery (pid {self._nursery.pid}) died: {how}")

    def _break(self, reason: str) -> None:
        if not self._broken:
            self._broken = True
            for seat in self._used:
                seat.spawn_at = None
            self._post(PoolBroken(reason))


def _refuse(event: PoolEvent) -> None:
    raise RuntimeError(f"a pool that has not been started cannot post {event!r}")
