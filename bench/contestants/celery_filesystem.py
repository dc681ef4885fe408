"""Celery on its filesystem broker, results in files: what it offers without a server."""

from functools import partial
from pathlib import Path
from typing import Any

from bench.contestants.base import Contestant
from bench.contestants.environment import CELERY


def settings(place: Path, results: bool, **transport: Any) -> dict[str, Any]:
    """Folders of its own for messages, bookkeeping and results."""
    messages, control, stored = (place / name for name in ("messages", "control", "results"))
    for folder in (messages, control, stored):
        folder.mkdir(exist_ok=True)
    return {
        "broker_url": "filesystem://",
        "broker_transport_options": {
            "data_folder_in": str(messages),
            "data_folder_out": str(messages),
            "control_folder": str(control),
            **transport,
        },
        "result_backend": f"file://{stored}" if results else None,
    }


_CAVEAT = "lists its whole folder to find a message: the longer the queue, the slower"
_DURABILITY = "plain files, no sync: what a worker has fetched ahead is in its memory only, lost when it is killed"

CONTESTANT = Contestant(
    name="celery-filesystem",
    package="celery",
    python=CELERY.python,
    settings=settings,
    libraries=("celery", "kombu"),
    durability=_DURABILITY,
    acknowledgement="early, when the task is handed to the pool",
    caveat="looks for messages once a second by default, and " + _CAVEAT,
    prepare=CELERY.prepare,
    install=CELERY.command,
)

# The default looks at the folder once a second; this is the same broker with that wait tuned away.
TUNED = Contestant(
    name="celery-filesystem-5ms",
    package="celery",
    python=CELERY.python,
    settings=partial(settings, polling_interval=0.005),
    libraries=("celery", "kombu"),
    durability=_DURABILITY,
    acknowledgement="early, when the task is handed to the pool",
    caveat=_CAVEAT,
    prepare=CELERY.prepare,
    install=CELERY.command,
)
