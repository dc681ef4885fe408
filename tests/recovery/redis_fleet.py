"""Real workers on a broker of a test's own, and the side journal in which their tasks write (tests/chaos/tasks.py)."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from celery_rs import Celery, Signature
from celery_rs.results import AsyncResult
from celery_rs.transports import QueueInfo
from tests.chaos.ledger import Journal
from tests.deadlines import DEADLINE_S, eventually

EARLY, LATE, FOLLOWED = (f"tests.chaos.tasks.{name}" for name in ("early", "late", "followed"))


class Broker(Protocol):
    """`url` is where it is."""

    url: str


class Fleet:
    """A client of `broker`, and workers. Results lie in the same Redis unless `backend` says otherwise."""

    def __init__(
        self,
        folder: Path,
        broker: Broker,
        backend: str | None = None,
        settings: Mapping[str, object] | None = None,
    ) -> None:
        """`settings` are everybody's: the client's and the workers'."""
        self.folder = folder
        self.journal = folder / "journal"
        self.journal.touch()
        self._broker = broker.url
        self._backend = backend or broker.url
        self._settings = dict(settings or {})
        self.app = Celery("fleet", broker=self._broker, backend=self._backend, set_as_current=False)
        self.app.conf.update(self._settings)
        self._ends = ExitStack()
        self._ends.callback(self.app.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ends.close()

    # What is called

    def send(self, task: str, *args: object, **options: Any) -> AsyncResult[Any]:
        return self.app.send_task(task, args, **options)

    def send_many(self, task: str, count: int, pause: float = 0.0) -> list[str]:
        """Their ids, once they are all stored."""
        return [self.send(task, pause).id for _ in range(count)]

    def linked(self, task: str, pause: float = 0.0, **options: Any) -> str:
        """One whose follow-up writes its id."""
        id = f"linked-{os.urandom(8).hex()}"
        link: Signature[Any] = self.app.signature(FOLLOWED, args=(id,), immutable=True)
        return self.send(task, pause, task_id=id, link=link, **options).id

    # What there is to see

    def queue(self) -> QueueInfo:
        return self.app.transport.queues(["celery"])["celery"]

    def empty(self) -> bool:
        """Twice in a row: what a dead worker held may go back to where has just been counted."""
        return self._seems_empty() and self._seems_empty()

    def _seems_empty(self) -> bool:
        info = self.queue()
        return not any((info.ready, info.held, info.begun, info.delayed))

    def read(self) -> Journal:
        return Journal.read(self.journal.read_text().splitlines())

    def finished(self) -> set[str]:
        return self.read().finished()

    def started(self) -> set[str]:
        return set(self.read().runs)

    def followed(self) -> Counter[str]:
        """How often the follow-up of each has run."""
        lines = [line.split() for line in self.journal.read_text().splitlines()]
        return Counter(line[1] for line in lines if len(line) == 4 and line[0] == "followed")

    def wait_for(self, ids: Iterable[str], seconds: float = DEADLINE_S) -> None:
        """Until all of these have run to their ends."""
        wanted = set(ids)
        eventually(lambda: wanted <= self.finished(), seconds=seconds)

    # Workers

    @contextmanager
    def worker(
        self,
        name: str,
        *options: str,
        broker: str | None = None,
        settings: Mapping[str, object] | None = None,
        ready: bool = True,
    ) -> Iterator["subprocess.Popen[bytes]"]:
        """One that is ready, unless told otherwise; it reaches its broker by `broker`, if that is another way."""
        process = self.start(name, *options, broker=broker, settings=settings)
        try:
            if ready:
                eventually(lambda: " ready." in self.log(name) or process.poll() is not None)
                assert process.poll() is None, self.log(name)
            yield process
        finally:
            end(process)

    def start(
        self, name: str, *options: str, broker: str | None = None, settings: Mapping[str, object] | None = None
    ) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "celery_rs", "-A", "tests.chaos.tasks", "worker", "-n", f"{name}@%h"]
        variables = {
            "CHAOS_BROKER": broker or self._broker,
            "CHAOS_BACKEND": self._backend if broker is None or self._backend != self._broker else broker,
            "CHAOS_JOURNAL": str(self.journal),
            "CHAOS_SETTINGS": json.dumps(self._settings | dict(settings or {})),
        }
        with self._file(name).open("ab") as log:
            return subprocess.Popen(
                [*command, "-l", "info", *options], env=os.environ | variables, stdout=log, stderr=log
            )

    def log(self, name: str) -> str:
        file = self._file(name)
        return file.read_text() if file.exists() else ""

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.log"


def end(worker: "subprocess.Popen[bytes]") -> None:
    """Warm, and by force if that takes long."""
    if worker.poll() is None:
        worker.send_signal(signal.SIGCONT)
        worker.terminate()
        try:
            worker.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()
