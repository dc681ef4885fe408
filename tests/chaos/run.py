"""One chaos run: producers, workers, a monkey that kills, and the books at the end."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from celery_rs import Celery
from celery_rs.backends import ResultBackend
from celery_rs.transports import Transport
from tests.chaos import processes
from tests.chaos.ledger import Journal, Ledger, balance

PRODUCERS = 4
WORKERS = 2
STOPPED_S = 4.0
DRAIN_S = 120.0


@dataclass(slots=True)
class Run:
    """Where a run keeps its files and how large it is."""

    folder: Path
    tasks: int
    seconds: float
    seed: int

    @property
    def broker(self) -> str:
        return f"sqlite:///{self.folder}/chaos.sqlite3"

    @property
    def journal(self) -> Path:
        return self.folder / "journal"

    def environment(self) -> dict[str, str]:
        return {**os.environ, "CHAOS_BROKER": self.broker, "CHAOS_JOURNAL": str(self.journal)}

    def acknowledged(self, producer: int) -> Path:
        return self.folder / f"acknowledged.{producer}"


def run(plan: Run) -> Ledger:
    """Produce, kill, wait for the queue to empty, and draw the balance."""
    plan.journal.touch()
    with _workers(plan) as workers:
        producers = [_start_producer(plan, number) for number in range(PRODUCERS)]
        _Monkey(plan, workers).rage(time.monotonic() + plan.seconds)
        for producer in producers:
            if producer.wait(DRAIN_S) != 0:
                raise RuntimeError(f"a producer failed with exit code {producer.returncode}")
        enqueued = [id for n in range(PRODUCERS) for id in plan.acknowledged(n).read_text().split()]
        app = Celery("books", broker=plan.broker, backend=plan.broker)
        _drain(app.transport)
    # Nothing moves any more: a task on its way from the queue to the journal would be in neither.
    journal = Journal.read(plan.journal.read_text().splitlines())
    unfinished = set(enqueued) - journal.finished()
    places = {id: _whereabouts(app.transport, app.backend, id) or "unknown" for id in unfinished}
    app.close()
    return balance(enqueued, journal, places)


def _drain(transport: Transport) -> None:
    """Wait until the queue is empty; what is left after the deadline is counted as queued."""
    deadline = time.monotonic() + DRAIN_S
    while time.monotonic() < deadline:
        info = transport.queues(["celery"])["celery"]
        if not (info.ready or info.held or info.begun or info.delayed):
            return
        time.sleep(0.1)  # a foreign queue tells nobody that it is empty


def _whereabouts(transport: Transport, backend: ResultBackend, id: str) -> str | None:
    found = transport.find(id)
    if found is not None:
        return "dead" if found.state == "dead" else "queued"
    record = backend.fetch([id]).get(id)
    if record is not None and record.state == "FAILURE" and b"WorkerLostError" in record.meta:
        return "failed"
    return None


def _start_producer(plan: Run, number: int) -> "subprocess.Popen[bytes]":
    count = plan.tasks // PRODUCERS
    arguments = [str(count), str(count / plan.seconds), str(plan.acknowledged(number))]
    return subprocess.Popen([sys.executable, "-m", "tests.chaos.producer", *arguments], env=plan.environment())


def _start_worker(plan: Run, number: int) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "celery_rs", "-A", "tests.chaos.tasks", "worker", "-c", "2", "-n", f"w{number}@%h"]
    with (plan.folder / f"worker.{number}.log").open("ab") as log:
        return subprocess.Popen(command, env=plan.environment(), stdout=log, stderr=log)


@contextmanager
def _workers(plan: Run) -> Iterator[list["subprocess.Popen[bytes]"]]:
    workers = [_start_worker(plan, number) for number in range(WORKERS)]
    try:
        yield workers
    finally:
        for worker in workers:
            worker.send_signal(signal.SIGCONT)
            worker.terminate()
        for worker in workers:
            worker.wait(30)


def _wait_until(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise RuntimeError(f"gave up after {seconds} seconds")
        time.sleep(0.01)  # there is no event for the end of another process's child


class _Monkey:
    """Kills children all the time, a worker now and then, and stops another for a while."""

    def __init__(self, plan: Run, workers: list["subprocess.Popen[bytes]"]) -> None:
        self._plan = plan
        self._workers = workers
        self._chance = random.Random(plan.seed)

    def rage(self, until: float) -> None:
        begin = time.monotonic()
        round_s = min(20.0, until - begin)
        next_kill, next_stop = begin + round_s * 0.3, begin + round_s * 0.6
        while (now := time.monotonic()) < until:
            time.sleep(self._chance.uniform(0.05, 0.4))  # the monkey's own pace
            if now >= next_kill:
                next_kill += round_s
                self._kill_worker(0)
            if now >= next_stop:
                next_stop += round_s
                self._stop_worker(1)
            self._kill_child()

    def _kill_child(self) -> None:
        pool = processes.pool_of(self._chance.choice(self._workers).pid)
        if pool:
            self._kill(self._chance.choice(pool))

    def _kill_worker(self, number: int) -> None:
        worker = self._workers[number]
        pool = processes.pool_of(worker.pid)
        self._kill(worker.pid)
        worker.wait()
        # They die with their worker, a moment later; a run that begins in that moment ends by it too.
        _wait_until(lambda: not any(processes.alive(child) for child in pool))
        for child in pool:
            self._record(child)
        self._workers[number] = _start_worker(self._plan, number)

    def _stop_worker(self, number: int) -> None:
        worker = self._workers[number]
        worker.send_signal(signal.SIGSTOP)
        time.sleep(STOPPED_S)  # that is the fault
        worker.send_signal(signal.SIGCONT)

    def _kill(self, pid: int) -> None:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self._record(pid)

    def _record(self, pid: int) -> None:
        with self._plan.journal.open("a") as journal:
            journal.write(f"kill {pid} {os.getpid()} {time.monotonic():.6f}\n")
