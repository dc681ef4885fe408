"""Who uses a fleet while it is being killed: revokes, resizes, restarts, takes queues away and hangs up at random."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from celery_rs import Celery
from tests.chaos import processes

RECENT = 60
"""Among how many of the last tasks the revoked ones are chosen: some have run, some run, most wait."""


class Meddler:
    """Writes into the journal what it asked to be `revoked`, and what it has `buried`: seen as REVOKED in the store."""

    def __init__(self, broker: str, journal: Path, seed: int) -> None:
        self._app = Celery("meddler", broker=broker, backend=broker, set_as_current=False)
        self._journal = journal
        self._chance = random.Random(seed)
        self._asked: list[str] = []

    def act(self, acknowledged: Path, workers: Sequence["subprocess.Popen[bytes]"]) -> None:
        control, chance = self._app.control, self._chance
        deeds: list[tuple[int, Callable[[], object]]] = [
            (8, lambda: self._revoke(acknowledged, terminate=False)),
            (8, lambda: self._revoke(acknowledged, terminate=True)),
            (2, control.pool_restart),
            (2, lambda: control.autoscale(chance.randrange(1, 5), chance.randrange(2))),
            (1, lambda: control.pool_grow(1)),
            (1, lambda: control.pool_shrink(1)),
            (1, self._change_queues),
            (1, lambda: _send(chance.choice(workers), signal.SIGUSR1)),
            (1, lambda: _send(chance.choice(workers), signal.SIGHUP)),
        ]
        chance.choices([deed for _, deed in deeds], [weight for weight, _ in deeds])[0]()
        self._look()

    def close(self) -> None:
        """Leave a fleet behind that works, and the last word on what was revoked."""
        self._app.control.add_consumer("celery")
        self._app.control.pool_grow(1)
        self._look()
        self._app.close()

    def _change_queues(self) -> None:
        """Not for long: children of an idle worker are killed before they have been of use, and it gives up."""
        self._app.control.cancel_consumer("celery")
        self._app.control.add_consumer("celery")

    def _revoke(self, acknowledged: Path, *, terminate: bool) -> None:
        ids = acknowledged.read_text().splitlines()[-RECENT:-1] if acknowledged.exists() else []
        if ids:
            chosen = self._chance.sample(ids, min(len(ids), 5))
            self._app.control.revoke(chosen, terminate=terminate, signal=self._chance.choice(["SIGTERM", "SIGKILL"]))
            self._asked += chosen
            self._write("revoked", chosen)

    def _look(self) -> None:
        """Those that a worker holds are stored as REVOKED by that worker, a little later."""
        records = self._app.backend.fetch(self._asked)
        seen = [id for id in self._asked if id in records and records[id].state == "REVOKED"]
        self._asked = [id for id in self._asked if id not in seen]
        self._write("buried", seen)

    def _write(self, kind: str, ids: Sequence[str]) -> None:
        now = time.monotonic()
        with self._journal.open("a") as journal:
            journal.writelines(f"\n{kind} {id} {os.getpid()} {now:.6f}\n" for id in ids)


def _send(worker: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    """Only a worker that listens knows what to make of it."""
    if processes.listens(worker.pid, number):
        worker.send_signal(number)
