"""celery-rs and Celery on a Redis that is started for the run, and keeps nothing on disk: what costs is the queue."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.contestants import servers
from bench.contestants.base import Contestant
from bench.contestants.environment import CELERY as IN_CELERY

DURABILITY = "Redis in memory, without snapshot or log: its restart loses everything"


def settings(place: Path, results: bool) -> dict[str, Any]:
    """Everything else is the default."""
    url = servers.redis_url(place)
    return {"broker_url": url, "result_backend": url if results else None}


CELERY_RS = Contestant(
    name="celery-rs-redis",
    package="celery_rs",
    python=Path(sys.executable),
    settings=settings,
    libraries=("celery-rs", "redis", "hiredis"),
    durability=DURABILITY,
    acknowledgement="early, recorded when the task starts; what has not started is never lost",
    broker=servers.redis,
    server_versions=servers.redis_version,
)

CELERY = Contestant(
    name="celery-redis",
    package="celery",
    python=IN_CELERY.python,
    settings=settings,
    libraries=("celery", "kombu", "redis"),
    durability=DURABILITY,
    acknowledgement="early, when the task is handed to the pool",
    prepare=IN_CELERY.prepare,
    install=IN_CELERY.command,
    broker=servers.redis,
    server_versions=servers.redis_version,
)


def _with_receivers(contestant: Contestant) -> Contestant:
    return replace(
        contestant,
        name=f"{contestant.name}-signals",
        caveat="an empty receiver is connected to every signal of a task's life",
        receivers=True,
    )


CELERY_RS_SIGNALS = _with_receivers(CELERY_RS)
CELERY_SIGNALS = _with_receivers(CELERY)
