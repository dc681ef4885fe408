"""celery-rs and Celery on a Redis that is started for the run, and keeps nothing on disk: what costs is the queue."""

import sys
from pathlib import Path
from typing import Any

from bench.contestants import servers
from bench.contestants.base import Contestant
from bench.contestants.environment import PYTHON, prepare

_DURABILITY = "Redis in memory, without snapshot or log: its restart loses everything"


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
    durability=_DURABILITY,
    acknowledgement="early, recorded when the task starts; what has not started is never lost",
    broker=servers.redis,
    server_versions=servers.redis_version,
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
    broker=servers.redis,
    server_versions=servers.redis_version,
)
