"""The tasks of the chaos run: each writes to a journal that no broker or result store has a part in.

A line is one write with O_APPEND, followed by fsync: what is in the journal has happened, whatever was killed after it.
"""

import importlib
import json
import os
import time

Celery = importlib.import_module(os.environ.get("CHAOS_PACKAGE", "celery_rs")).Celery
"""Celery's own workers run these tasks, too."""
BROKER = os.environ["CHAOS_BROKER"]
app = Celery("chaos", broker=BROKER, backend=os.environ.get("CHAOS_BACKEND", BROKER))
app.conf.update(worker_pool_restarts=True, worker_soft_shutdown_timeout=0.5)
app.conf.update(json.loads(os.environ.get("CHAOS_SETTINGS", "{}")))
JOURNAL = os.environ["CHAOS_JOURNAL"]


def write(kind: str, subject: str) -> None:
    """`<kind> <subject> <pid> <monotonic time>`."""
    # A kill in the middle of the write may leave the beginning of a line, so each line also ends the one before it.
    line = f"\n{kind} {subject} {os.getpid()} {time.monotonic():.6f}\n"
    descriptor = os.open(JOURNAL, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@app.task(bind=True, acks_late=True, reject_on_worker_lost=True)
def late(self: object, pause: float) -> None:
    """Acknowledged at its end: runs again when its process dies."""
    run(self.request.id, pause)  # type: ignore[attr-defined]  # a bound task has a request


@app.task(bind=True)
def early(self: object, pause: float) -> None:
    """Acknowledged when it starts: ends as a failure when its process dies."""
    run(self.request.id, pause)  # type: ignore[attr-defined]  # a bound task has a request


@app.task
def followed(id: str) -> None:
    """What is linked to some of the others."""
    write("followed", id)


def run(id: str, pause: float) -> None:
    write("start", id)
    time.sleep(pause)  # the work
    write("end", id)
