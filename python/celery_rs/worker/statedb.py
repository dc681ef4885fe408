"""The state file: what was revoked, for the next worker of this name (`--statedb`, `worker_state_db`).

A JSON object, replaced as a whole, readable by its owner only. It is written when the worker stops and, where something
changed, every few seconds by a thread of its own; a worker that is killed loses no more than that.
"""

import json
import logging
import os
import threading
import time
from contextlib import suppress
from pathlib import Path

from celery_rs.errors import StateFileError
from celery_rs.worker.inbox import Inbox
from celery_rs.worker.revokes import Revokes
from celery_rs.worker.threads import thread

logger = logging.getLogger("celery.worker")

SAVE_EVERY_S = 5.0
_VERSION = 1


class StateDb:
    """Thread, between start and stop: waits for the next saving, or the stop."""

    def __init__(self, path: Path, revokes: Revokes) -> None:
        self._path = path
        self._revokes = revokes
        self._saved = -1
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def load(self) -> None:
        """Take up what the file says, and see that it can be written. Raises StateFileError."""
        now = time.time()
        for id, until in _read(self._path).items():
            if until > now:
                self._revokes.add([id], now, until)
        try:
            self._save()
        except OSError as error:
            raise StateFileError(f"the state file {self._path} cannot be written: {error.strerror}") from None

    def start(self, box: Inbox) -> None:
        self._thread = thread("statedb", self._run, box)
        self._thread.start()

    def stop(self) -> None:
        """Save for the last time."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        stopping = False
        while not stopping:
            stopping = self._stopping.wait(SAVE_EVERY_S)
            try:
                self._save()
            except OSError as error:
                logger.error(
                    "worker: the state file %s cannot be written (%s); what is revoked from now on may be forgotten",
                    self._path,
                    error.strerror,
                )

    def _save(self) -> None:
        version = self._revokes.version
        if version == self._saved:
            return
        state = {"celery-rs state": _VERSION, "revoked": self._revokes.snapshot()}
        new = self._path.with_name(f"{self._path.name}.{os.getpid()}.new")
        try:
            with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                json.dump(state, file)
            new.replace(self._path)
        except OSError:
            with suppress(OSError):
                new.unlink()
            raise
        self._saved = version


def _read(path: Path) -> dict[str, float]:
    """Ids and until when they are revoked. Raises StateFileError."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise StateFileError(f"the state file {path} cannot be read: {error.strerror}") from None
    try:
        match json.loads(text):
            case {"celery-rs state": 1, "revoked": dict(revoked)}:
                return {str(id): float(until) for id, until in revoked.items()}
    except (ValueError, TypeError, OverflowError, RecursionError):
        pass
    raise StateFileError(
        f"the state file {path} is not one of celery-rs (it may be corrupt, or Celery's); remove it, or name another"
    )
