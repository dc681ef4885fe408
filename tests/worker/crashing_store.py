"""A result store of the user's own whose process crashes at its first record, and which says who wrote."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from celery_rs.backends.opening import Opening
from celery_rs.backends.sqlite import SqliteBackend, open_store
from celery_rs.wire import TaskResult


class CrashingStore:
    """As `override_backends` takes one: what it does not say itself is said by the SQLite store below it."""

    place: Literal["child"] = "child"

    def __init__(self, folder: Path, below: SqliteBackend) -> None:
        self._folder = folder
        self._below = below

    @classmethod
    def open(cls, url: str, options: Any, *, expires: float | None) -> "CrashingStore":
        folder = Path(url.partition("://")[2])
        return cls(folder, open_store(Opening(f"sqlite:///{folder}/results.sqlite3", options, {}, expires)))

    def store(self, records: Sequence[TaskResult]) -> Sequence[bool]:
        writers = self._folder / "writers"
        first = not writers.exists()
        if first or str(os.getpid()) not in writers.read_text().split():
            with writers.open("a") as file:
                file.write(f"{os.getpid()}\n")
        if first:
            os._exit(7)
        return self._below.store(records)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._below, name)
