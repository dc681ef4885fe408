"""celery-rs and Celery on a Redis that is started for the run, and keeps nothing on disk: what costs is the queue."""

import socket
import sys
import time
from pathlib import Path
from typing import Any

from bench.contestants.base import Contestant, ContestantError
from bench.contestants.environment import PYTHON, prepare
from bench.processes import Program

_PORT = "redis.port"
_DURABILITY = "Redis in memory, without snapshot or log: its restart loses everything"


def start(place: Path) -> Program:
    """A Redis of this run's own; returns when it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    (place / _PORT).write_text(str(port))
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    try:
        server = Program(command, environment={}, place=place, log=place / "redis.log")
    except FileNotFoundError:
        raise ContestantError("redis-server is not there: install Redis") from None
    until = time.monotonic() + 10.0
    while time.monotonic() < until and server.is_running():
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
        except OSError:
            time.sleep(0.01)
        else:
            return server
    server.stop()
    raise ContestantError(f"redis-server did not start: {server.last_words()}")


def settings(place: Path, results: bool) -> dict[str, Any]:
    """Everything else is the default."""
    url = f"redis://127.0.0.1:{(place / _PORT).read_text()}/0"
    return {"broker_url": url, "result_backend": url if results else None}


CELERY_RS = Contestant(
    name="celery-rs-redis",
    package="celery_rs",
    python=Path(sys.executable),
    settings=settings,
    libraries=("celery-rs", "redis", "hiredis"),
    durability=_DURABILITY,
    acknowledgement="early, recorded when the task starts; what has not started is never lost",
    broker=start,
)

CELERY = Contestant(
    name="celery-redis",
    package="celery",
    python=PYTHON,
    settings=settings,
    libraries=("celery", "kombu", "redis"),
    durability=_DURABILITY,
    acknowledgement="early, when the task is handed to the pool",
    prepare=prepare,
    broker=start,
)
