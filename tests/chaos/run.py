"""One chaos run: producers, workers, a monkey that kills (and a meddler, if asked), and the books at the end."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

from celery_rs import Celery
from celery_rs.backends import ResultBackend
from celery_rs.transports import Transport
from tests.chaos import processes
from tests.chaos.ledger import UNAWARE_S, Journal, Ledger, balance
from tests.chaos.meddler import Meddler
from tests.deadlines import DEADLINE_S

LINKED = "linked-"
"""How the ids of tasks with a link begin."""
PRODUCERS = 4
WORKERS = 2
OPTIONS = (("--autoscale", "4,1"), ("-c", "2", "--max-tasks-per-child", "50", "--max-memory-per-child", "60000"))
"""Of the workers that are meddled with."""
ENDS = {signal.SIGKILL: -signal.SIGKILL, signal.SIGTERM: 0, signal.SIGQUIT: 1}
"""How workers end, and with which exit code."""
END_WITHIN_S = 20.0
STOPPED_S = 4.0
DRAIN_S = 120.0
ENOUGH = 10
"""On a slow machine it goes on until so many processes have been killed."""
CELERY = Path(__file__).parents[2] / ".venv-celery" / "bin" / "python"


class Queues(Protocol):
    """Of a broker that cannot be asked where a task is."""

    def moving(self) -> int:
        """How many messages there are but for dead letters."""
        ...

    def taken_out(self) -> dict[str, str]:
        """By task, whether its message was dead or queued; none is there any more."""
        ...


@dataclass(slots=True)
class Run:
    """Where a run keeps its files, how large it is, and on what it runs.

    `url` is of a broker to use instead of a file, `reached_by` how workers reach it, `store` where results lie if
    elsewhere, `queues` who looks into a broker that cannot be asked; `stopped_s` is for how long a worker is stopped.
    With `celery` the workers are Celery's own, and what they hold at the end stays there.
    """

    folder: Path
    tasks: int
    seconds: float
    seed: int
    meddled: bool = False
    url: str | None = None
    reached_by: str | None = None
    store: str | None = None
    settings: Mapping[str, object] = field(default_factory=dict)
    queues: Queues | None = None
    stopped_s: float = STOPPED_S
    celery: bool = False

    @property
    def broker(self) -> str:
        return self.url or f"sqlite:///{self.folder}/chaos.sqlite3"

    def pool_of(self, worker: int) -> list[int]:
        return processes.pool_of(worker, nursery=not self.celery)

    @property
    def journal(self) -> Path:
        return self.folder / "journal"

    def environment(self, broker: str | None = None) -> dict[str, str]:
        chaos = {"CHAOS_BROKER": broker or self.broker, "CHAOS_JOURNAL": str(self.journal), "AUTOSCALE_KEEPALIVE": "1"}
        chaos |= {"CHAOS_SETTINGS": json.dumps(dict(self.settings))}
        if self.store:
            chaos |= {"CHAOS_BACKEND": self.store}
        return {**os.environ, **chaos}

    def acknowledged(self, producer: int) -> Path:
        return self.folder / f"acknowledged.{producer}"


def run(plan: Run) -> Ledger:
    """Produce, kill, wait for the queue to empty, and draw the balance."""
    plan.journal.touch()
    with _workers(plan) as workers, _producers(plan) as producers:
        monkey = _Monkey(plan, workers)
        until = time.monotonic() + plan.seconds
        if plan.meddled:
            meddler = Meddler(plan.broker, plan.journal, plan.seed)
            monkey.rage(until, meddle=lambda: meddler.act(plan.acknowledged(0), workers))
            meddler.close()
        else:
            monkey.rage(until)
        for producer in producers:
            if producer.wait(DRAIN_S) != 0:
                raise RuntimeError(f"a producer failed with exit code {producer.returncode}")
        enqueued = [id for n in range(PRODUCERS) for id in plan.acknowledged(n).read_text().split()]
        app = Celery("books", broker=plan.broker, backend=plan.store or plan.broker)
        left = plan.queues.moving if plan.queues else partial(_left, app.transport)
        _drain(left, 20.0 if plan.celery else DRAIN_S)
    # Nothing moves any more: a task on its way from the queue to the journal would be in neither.
    journal = Journal.read(plan.journal.read_text().splitlines())
    unfinished = set(enqueued) - journal.finished()
    unfollowed: list[str] = []
    if plan.queues:
        places = _recorded(app.backend, unfinished) | plan.queues.taken_out()
    else:
        places = _whereabouts(app.transport, app.backend, unfinished)
        unfollowed = _unfollowed(app, journal, enqueued)
    app.close()
    # Who was revoked without being asked for is lost.
    places = {id: place for id, place in places.items() if place != "revoked" or id in journal.revoked}
    return balance(enqueued, journal, places, unfollowed)


def _left(transport: Transport) -> int:
    info = transport.queues(["celery"])["celery"]
    return sum(count or 0 for count in (info.ready, info.held, info.begun, info.delayed))


def _drain(count: Callable[[], int], patience: float) -> None:
    """Wait until the queue is empty; what is left once nothing has moved for so long is counted as queued."""
    left, deadline = -1, 0.0
    while left:
        before, left = left, count()
        if left != before:
            deadline = time.monotonic() + patience
        elif time.monotonic() > deadline:
            return
        time.sleep(0.1)  # a foreign queue tells nobody that it is empty


def _whereabouts(transport: Transport, backend: ResultBackend, ids: Collection[str]) -> dict[str, str]:
    """Where each of these is that is anywhere."""
    alive = transport.locate(ids)
    dead = {id for id in set(ids) - alive.keys() if transport.find(id) is not None}
    return _recorded(backend, ids) | dict.fromkeys(dead, "dead") | dict.fromkeys(alive, "queued")


def _recorded(backend: ResultBackend, ids: Collection[str]) -> dict[str, str]:
    """What the result store says of those that have ended without running to their end."""
    places = {}
    for id, record in backend.fetch(list(ids)).items():
        if record.state == "REVOKED":
            places[id] = "revoked"
        elif record.state == "FAILURE" and b"WorkerLostError" in record.meta:
            places[id] = "failed"
    return places


def _unfollowed(app: Celery, journal: Journal, enqueued: Collection[str]) -> list[str]:
    """Tasks with a link that are stored as a success and whose follow-up neither ran nor is anywhere."""
    due = [id for id in enqueued if id.startswith(LINKED) and id not in journal.followed]
    successes = [id for id, record in app.backend.fetch(due).items() if record.state == "SUCCESS"]
    children = {str(child): id for id in successes for child in app.AsyncResult(id).children}
    places = _whereabouts(app.transport, app.backend, children)
    return sorted(set(successes) - {id for child, id in children.items() if child in places})


@contextmanager
def _producers(plan: Run) -> Iterator[list["subprocess.Popen[bytes]"]]:
    producers = [_start_producer(plan, number) for number in range(PRODUCERS)]
    try:
        yield producers
    finally:
        for producer in producers:
            producer.kill()
            producer.wait()


def _start_producer(plan: Run, number: int) -> "subprocess.Popen[bytes]":
    count = plan.tasks // PRODUCERS
    arguments = [str(count), str(count / plan.seconds), str(plan.acknowledged(number))]
    arguments += [LINKED] if plan.meddled else []
    return subprocess.Popen([sys.executable, "-m", "tests.chaos.producer", *arguments], env=plan.environment())


def _start_worker(plan: Run, number: int) -> "subprocess.Popen[bytes]":
    name, options = f"w{number}@%h", OPTIONS[number] if plan.meddled else ("-c", "2")
    python, package = (str(CELERY), "celery") if plan.celery else (sys.executable, "celery_rs")
    command = [python, "-m", package, "-A", "tests.chaos.tasks", "worker", "-n", name, *options]
    variables = plan.environment(plan.reached_by) | {"CHAOS_PACKAGE": package}
    with (plan.folder / f"worker.{number}.log").open("ab") as log:
        return subprocess.Popen(command, env=variables, stdout=log, stderr=log)


@contextmanager
def _workers(plan: Run) -> Iterator[list["subprocess.Popen[bytes]"]]:
    workers = [_start_worker(plan, number) for number in range(WORKERS)]
    try:
        yield workers
    finally:
        for worker in workers:
            worker.send_signal(signal.SIGCONT)
            _wait_until(lambda: worker.poll() is not None or processes.listens(worker.pid, signal.SIGTERM))  # noqa: B023
            worker.terminate()
        codes = [worker.wait(DEADLINE_S) for worker in workers]
    if any(codes) and not plan.celery:
        raise RuntimeError(f"workers ended with exit codes {codes}; their logs are in {plan.folder}")


def _wait_until(holds: Callable[[], bool], seconds: float = DEADLINE_S) -> None:
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
        self._killed = 0

    def rage(self, until: float, *, meddle: Callable[[], object] = lambda: None) -> None:
        begin = time.monotonic()
        round_s = min(16.0 + self._plan.stopped_s, until - begin)
        next_kill, next_stop = begin + round_s * 0.3, begin + round_s * 0.6
        at_the_latest = until + DRAIN_S
        while (now := time.monotonic()) < (until if self._killed >= ENOUGH else at_the_latest):
            time.sleep(self._chance.uniform(0.05, 0.4))  # the monkey's own pace
            if now >= next_kill:
                next_kill += round_s
                self._end_worker(0)
            if now >= next_stop:
                next_stop += round_s
                self._stop_worker(1)
            self._kill_child()
            meddle()
            if self._plan.celery:
                self._start_the_dead()

    def _start_the_dead(self) -> None:
        """Celery's workers give up where too many of their children are killed; somebody starts them again."""
        for number, worker in enumerate(self._workers):
            if worker.poll() is not None:
                self._record(worker.pid)
                self._workers[number] = _start_worker(self._plan, number)

    def _kill_child(self) -> None:
        pool = self._plan.pool_of(self._chance.choice(self._workers).pid)
        if pool:
            self._kill(self._chance.choice(pool))

    def _end_worker(self, number: int) -> None:
        """By SIGKILL; one that is meddled with in other ways too."""
        worker = self._workers[number]
        end = self._chance.choice(list(ENDS)) if self._plan.meddled else signal.SIGKILL
        if not processes.listens(worker.pid, signal.SIGTERM):
            end = signal.SIGKILL
        pool = self._plan.pool_of(worker.pid)
        worker.send_signal(end)
        if worker.wait(END_WITHIN_S) != ENDS[end] and not self._plan.celery:
            raise RuntimeError(f"{end.name} ended a worker with exit code {worker.returncode}")
        self._record(worker.pid)
        if self._plan.celery:
            for child in pool:
                self._kill(child)
        # They die with their worker, a moment later; a run that begins in that moment ends by it too.
        _wait_until(lambda: not any(processes.alive(child) for child in pool))
        for child in pool:
            self._record(child)
        self._workers[number] = _start_worker(self._plan, number)

    def _stop_worker(self, number: int) -> None:
        worker = self._workers[number]
        pool = self._plan.pool_of(worker.pid)
        worker.send_signal(signal.SIGSTOP)
        self._record(*pool, as_="stopped")
        time.sleep(self._plan.stopped_s)  # that is the fault
        worker.send_signal(signal.SIGCONT)
        self._record(*pool, as_="resumed")
        if self._plan.stopped_s > STOPPED_S:
            time.sleep(UNAWARE_S)  # its children are left alone until it knows what it has lost

    def _kill(self, pid: int) -> None:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self._record(pid)

    def _record(self, *pids: int, as_: str = "kill") -> None:
        self._killed += len(pids) if as_ == "kill" else 0
        with self._plan.journal.open("a") as journal:
            journal.writelines(f"\n{as_} {pid} {os.getpid()} {time.monotonic():.6f}\n" for pid in pids)
