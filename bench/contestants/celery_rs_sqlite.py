"""celery-rs on its embedded broker: one SQLite file, results in the same file."""

import sys
from pathlib import Path
from typing import Any

from bench.contestants.base import Contestant


def settings(place: Path, results: bool) -> dict[str, Any]:
    """The broker by name, so that results are off unless asked for."""
    url = f"sqlite:///{place / 'broker.sqlite3'}"
    return {"broker_url": url, "result_backend": url if results else None}


CONTESTANT = Contestant(
    name="celery-rs-sqlite",
    package="celery_rs",
    python=Path(sys.executable),
    settings=settings,
    libraries=("celery-rs",),
    durability="WAL, synchronous=NORMAL: a killed process loses nothing, a power cut may lose the last moments",
    acknowledgement="early, recorded when the task starts; what has not started is never lost",
)
