"""What a job costs in the pool itself: no broker, no settling, a task that does nothing.

    python -m bench.micro pool [--jobs 100000] [--repeat 3]

Prints jobs per second and CPU per job in the parent and in the children, for one child and two, by batch size, with
a ready-made outcome (the pool alone) and with the executor of an app.
"""

import argparse
import gc
import os
import resource
import selectors
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from celery_rs import Celery
from celery_rs._core import Envelope, open_envelopes, seal_envelopes
from celery_rs.execution import Outcome, Tell, Work, execute, in_user_code
from celery_rs.wire import Message, TaskResult
from celery_rs.worker.pools import Duties, Finished, Job, PoolEvent, PreforkPool

BODY = b'[[2, 2], {}, {"callbacks": null, "errbacks": null, "chain": null, "chord": null}]'


def ready_made(work: Work, tell: Tell) -> Outcome:
    return Outcome(work.tag, "success", "SUCCESS", 0.0, "4", None, TaskResult(work.id, "SUCCESS", 0, b"x" * 180))


def by_executor() -> Callable[[Work, Tell], Outcome]:
    app = Celery("bench", broker="memory://", backend="disabled://")
    app.task(name="add")(lambda x, y: x + y)
    return lambda work, tell: execute(app, work, hostname="celery@bench", tell=tell)


def make_jobs(count: int) -> list[Job]:
    messages = [Message("add", f"{n:032d}", BODY, f"{n:032d}", argsrepr="(2, 2)") for n in range(count)]
    opened = open_envelopes(seal_envelopes(messages, [("", "celery")] * count))
    envelopes = (envelope for envelope in opened if isinstance(envelope, Envelope))
    return [Job(f"c.1.{n}", envelope, "celery", False, False, False) for n, envelope in enumerate(envelopes)]


class Drain:
    """A selector loop that keeps the pool full until everything has come back."""

    def __init__(self, pool: PreforkPool) -> None:
        self.pool = pool
        self.finished = 0
        self._selector = selectors.DefaultSelector()
        pool.start(self._on_event, self._watch)

    def _watch(self, fd: int, readable: Callable[[], None]) -> Callable[[], None]:
        self._selector.register(fd, selectors.EVENT_READ, readable)

        def unwatch() -> None:
            self._selector.unregister(fd)

        return unwatch

    def _on_event(self, event: PoolEvent) -> None:
        assert isinstance(event, Finished), event
        self.finished += len(event.outcomes)

    def _turn(self) -> None:
        wish = self.pool.tick(time.monotonic())
        for key, _ in self._selector.select(None if wish is None else max(0.0, wish - time.monotonic())):
            key.data()

    def run(self, jobs: list[Job], batch: int) -> None:
        self.finished, sent = 0, 0
        while self.finished < len(jobs):
            if sent < len(jobs) and (room := self.pool.room(batch=batch)):
                self.pool.submit(jobs[sent : sent + room], batch=batch)
                sent = min(len(jobs), sent + room)
            self._turn()


@contextmanager
def drain(run: Callable[[Work, Tell], Outcome], children: int) -> Iterator[Drain]:
    pool = PreforkPool(Duties(run, in_user_code), children)
    yield Drain(pool)
    pool.stop()


def cpu_of(pid: int) -> float:
    with open(f"/proc/{pid}/stat", "rb") as stat:
        user, system = stat.read().rpartition(b")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def cpu_of_self() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def measure(
    run: Callable[[Work, Tell], Outcome], jobs: list[Job], children: int, batch: int
) -> tuple[float, float, float]:
    """Jobs per second, microseconds of CPU per job in the parent, and in the children."""
    with drain(run, children) as drained:
        drained.run(jobs[:1000], batch)  # every child is up and warm
        pids = drained.pool.describe()["processes"]
        assert isinstance(pids, list)
        ours, theirs, began = cpu_of_self(), sum(map(cpu_of, pids)), time.perf_counter()
        drained.run(jobs, batch)
        took = time.perf_counter() - began
        return (
            len(jobs) / took,
            (cpu_of_self() - ours) / len(jobs) * 1e6,
            (sum(map(cpu_of, pids)) - theirs) / len(jobs) * 1e6,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    jobs = make_jobs(options.jobs)
    gc.freeze()
    print(f"{'run':<12} {'children':>8} {'batch':>5} {'jobs/s':>9} {'parent us':>10} {'child us':>9}")
    for name, run in (("ready-made", ready_made), ("executor", by_executor())):
        for children in (1, 2):
            for batch in (1, 32, 100):
                given = jobs if batch > 1 else jobs[: len(jobs) // 5]
                rounds = [measure(run, given, children, batch) for _ in range(options.repeat)]
                rate, parent, child = (statistics.median(column) for column in zip(*rounds, strict=True))
                print(f"{name:<12} {children:>8} {batch:>5} {rate:>9,.0f} {parent:>10.1f} {child:>9.1f}")


if __name__ == "__main__":
    main()
