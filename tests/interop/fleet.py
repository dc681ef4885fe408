"""Celery's workers and ours on one broker: the project of `both_ways`, its journal, and what lies in a Redis."""

import signal
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from celery_rs.transports.redis import RedisOptions, Server
from tests.deadlines import eventually
from tests.interop.both_ways import PROJECT
from tests.interop.celery_side import CeleryProject, OurProject, Running

QUIET = ("--without-gossip", "--without-mingle", "--without-heartbeat")
SWEEP_OFTEN = {"unacked_restore_interval": 0.5, "unacked_restore_throttle": 1}
"""Kombu looks for what is overdue every hundred seconds otherwise."""


class Fleet:
    """Both sides with the same settings. Whatever they start ends with it."""

    def __init__(self, folder: Path, broker: str, settings: Mapping[str, object]) -> None:
        self.folder = folder
        self.theirs = CeleryProject(folder / "theirs", broker, settings, PROJECT)
        self.ours = OurProject(folder / "ours", broker, settings, PROJECT)

    def their_worker(self, *options: str, name: str = "theirs@host", wait: bool = True) -> Running:
        return self.theirs.worker(*options, *QUIET, name=name, wait=wait)

    def our_worker(self, *options: str, name: str = "ours@host", wait: bool = True) -> Running:
        return self.ours.worker(*options, *QUIET, name=name, wait=wait)

    def journal(self) -> list[list[str]]:
        """What the tasks have written, each line in words."""
        path = self.folder / "journal"
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []

    def wait_for_lines(self, *words: str, count: int = 1) -> None:
        """Until so many lines begin with these words."""
        eventually(
            lambda: sum(line[: len(words)] == list(words) for line in self.journal()) >= count,
            lambda: str(self.journal()),
        )

    def marked(self) -> Counter[str]:
        """How often each word was marked."""
        return Counter(word for word, *_ in self.journal() if word not in ("began", "ended", "flaky", "show"))

    def let_go(self, name: str) -> None:
        """Have a `hold` end."""
        (self.folder / name).touch()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self.theirs, self.ours:
            pass


class RedisFleet(Fleet):
    """On a Redis, which can be asked."""

    def __init__(self, folder: Path, broker: str, **options: object) -> None:
        settings = {"result_backend": broker, "broker_transport_options": SWEEP_OFTEN | options}
        super().__init__(folder, broker, settings)
        self._server = Server.at(broker, RedisOptions())

    def call(self, *command: bytes | str | float) -> Any:
        """Ask the Redis itself."""
        with self._server.borrowed() as link:
            return link.call(*command)

    def waiting(self, queue: str = "celery") -> int:
        return int(self.call(b"LLEN", queue))

    def deferred(self) -> int:
        return int(self.call(b"ZCARD", b"celery-rs.delayed"))

    def keys_of_ours(self) -> list[bytes]:
        found: list[bytes] = self.call(b"KEYS", b"*celery-rs*")
        return found + [field for field in self.call(b"HKEYS", b"unacked") if field.startswith(b"crs.")]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, traceback)
        self._server.close()


def kill(worker: Running) -> None:
    worker.process.send_signal(signal.SIGKILL)
    worker.ends()
