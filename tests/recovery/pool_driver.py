"""Drives a pool the way the worker's loop does, with a deadline on every wait, and keeps what it posts."""

import selectors
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from celery_rs._core import Envelope, open_envelopes, seal_envelopes
from celery_rs.execution import Outcome, Tell, Work
from celery_rs.wire import Message
from celery_rs.worker.pools import Duties, Finished, Job, Lost, Pool, PoolEvent, PreforkPool, Returned

PATIENCE_S = 20.0
Run = Callable[[Work, Tell], Outcome]
Value = TypeVar("Value")
Kind = TypeVar("Kind")


def success(work: Work, text: str = "") -> Outcome:
    return Outcome(work.tag, "success", "SUCCESS", 0.0, text)


def job(tag: str, task: str = "task", body: bytes = b"", *, announce: bool = False) -> Job:
    message = Message(task, f"id-{tag}", body, f"delivery-{tag}")
    (envelope,) = open_envelopes(seal_envelopes([message], [("", "celery")]))
    assert isinstance(envelope, Envelope)
    return Job(tag, envelope, "celery", False, announce, False)


class Driver:
    """A miniature of the loop: a selector, the pool's ticks, and every event that was posted."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.events: list[PoolEvent] = []
        self._selector = selectors.DefaultSelector()
        pool.start(self.events.append, self._watch)

    def _watch(self, fd: int, readable: Callable[[], None]) -> Callable[[], None]:
        self._selector.register(fd, selectors.EVENT_READ, readable)

        def unwatch() -> None:
            self._selector.unregister(fd)

        return unwatch

    def turn(self, deadline: float) -> None:
        wish = self.pool.tick(time.monotonic())
        until = deadline if wish is None else min(deadline, wish)
        for key, _ in self._selector.select(max(0.0, until - time.monotonic())):
            if key.fd in self._selector.get_map():
                key.data()

    def until(self, ready: Callable[[], Value]) -> Value:
        """Turn until `ready()` is true, and return what it said."""
        deadline = time.monotonic() + PATIENCE_S
        while not (value := ready()):
            assert time.monotonic() < deadline, f"waited in vain; last of all: {str(self.events[-3:])[:2000]}"
            self.turn(min(deadline, time.monotonic() + 0.05))  # what is awaited may lie outside the pool
        return value

    def glimpse(self, ready: Callable[[], Value]) -> Value:
        """Wait without giving the pool a turn: for what children do by themselves."""
        deadline = time.monotonic() + PATIENCE_S
        while not (value := ready()):
            assert time.monotonic() < deadline, "waited in vain"
        return value

    def run(self, jobs: Sequence[Job], *, batch: int = 1) -> None:
        """Submit as there is room until all have ended; what returns goes again: on a busy machine any job is long."""
        by_tag = {job.tag: job for job in jobs}
        waiting, heard = list(jobs), len(self.returned())
        deadline = time.monotonic() + PATIENCE_S
        while not by_tag.keys() <= self.ended():
            assert time.monotonic() < deadline, f"waited in vain; last of all: {str(self.events[-3:])[:2000]}"
            room = self.pool.room(batch=batch) if waiting else 0
            if room:
                self.pool.submit(waiting[:room], batch=batch)
                del waiting[:room]
            self.turn(deadline)
            waiting = [by_tag[tag] for tag in self.returned()[heard:]] + waiting
            heard = len(self.returned())

    def of(self, kind: type[Kind]) -> list[Kind]:
        return [event for event in self.events if isinstance(event, kind)]

    def outcomes(self) -> list[Outcome]:
        return [outcome for event in self.of(Finished) for outcome in event.outcomes]

    def finished(self) -> list[str]:
        return [outcome.tag for outcome in self.outcomes()]

    def returned(self) -> list[str]:
        return [tag for event in self.of(Returned) for tag in event.tags]

    def ended(self) -> set[str]:
        return {*self.finished(), *(lost.tag for lost in self.of(Lost))}

    def close(self) -> None:
        self.pool.stop()
        self._selector.close()


def is_alive(pid: int) -> bool:
    """Whether a process still does anything (a zombie does not)."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            return stat.read().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except (FileNotFoundError, ProcessLookupError):
        return False


def always() -> bool:
    return True


@contextmanager
def prefork(run: Run, size: int = 1, **options: Any) -> Iterator[Driver]:
    driver = Driver(PreforkPool(Duties(run, always), size, alive_within=PATIENCE_S, **options))
    try:
        yield driver
    finally:
        driver.close()


def processes(driver: Driver) -> list[int]:
    pids = driver.pool.describe()["processes"]
    assert isinstance(pids, list)
    return pids


def children(driver: Driver, count: int) -> list[int]:
    """The pids of the pool's children, once there are `count` of them."""

    def pids() -> list[int]:
        found = processes(driver)
        return found if len(found) == count else []

    return driver.until(pids)
