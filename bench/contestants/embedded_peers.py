"""Other queues that need no server: a file of SQLite's, results in it too."""

from functools import partial
from pathlib import Path
from typing import Any

from bench.contestants.base import CONCURRENCY, Contestant
from bench.contestants.environment import PEERS

_LACKS = {"routes": "does not route by a task's name", "signals": "has no signals of Celery's"}


def taskito_settings(place: Path, results: bool, library: str) -> dict[str, Any]:
    """What its constructor takes, and whose it is. It has no switch for results."""
    return {
        "library": library,
        "db_path": str(place / "jobs.sqlite3"),
        "workers": CONCURRENCY,
        "scheduler_batch_size": 100,
        "scheduler_poll_interval_ms": 1,
    }


def huey_settings(place: Path, results: bool, **storage: Any) -> dict[str, Any]:
    """What its constructor takes."""
    return {"filename": str(place / "huey.sqlite3"), "results": results, **storage}


def _taskito(library: str) -> Contestant:
    return Contestant(
        name=library,
        package="bench.inside.taskito_app",
        python=PEERS.python,
        settings=partial(taskito_settings, library=library),
        libraries=(library,),
        durability="WAL, synchronous=NORMAL: a killed process loses nothing, a power cut may lose the last moments",
        acknowledgement="late: a job is a row with its state; a dead worker's runs again within a minute",
        caveat="MessagePack; results cannot be off; two threads of one process, its default; claims up to 100 jobs "
        "every ms here, one every 50 ms by default; a caller polls, from every ms on here, from every 50 ms by default",
        prepare=PEERS.prepare,
        install=PEERS.command,
        worker=(library, "worker", "--app", "bench.inside.app:native"),
        lacks=_LACKS,
    )


TASKITO = _taskito("taskito")
FLEXIQ = _taskito("flexiq")


def _huey(name: str, durability: str, **storage: Any) -> Contestant:
    return Contestant(
        name=name,
        package="bench.inside.huey_app",
        python=PEERS.python,
        settings=partial(huey_settings, **storage),
        libraries=("huey",),
        durability=durability,
        acknowledgement="early: its row is deleted when it is taken, lost when its worker dies",
        caveat="pickle; workers and callers poll, with pauses that grow from 0.1 s on",
        prepare=PEERS.prepare,
        install=PEERS.command,
        worker=("huey_consumer", "bench.inside.app.native", "-k", "process", "-w", str(CONCURRENCY), "-q"),
        lacks={**_LACKS, "rate_limit": "limits inside a body, which is run to find out", "bulk": "sends one by one"},
    )


HUEY = _huey("huey-sqlite", "WAL, synchronous=FULL, its default: every commit is on the disk")
HUEY_UNSYNCED = _huey("huey-sqlite-nosync", "WAL, synchronous=OFF: a power cut may spoil the file", fsync=False)
