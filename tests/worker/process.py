"""A real worker process for a test, and a client that talks to it."""

import importlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import ModuleType

import pytest

from tests.deadlines import DEADLINE_S, eventually


class Project:
    """A folder with a broker file, the tasks of `tests.worker.proj` as this process calls them, and workers."""

    def __init__(self, folder: Path, proj: ModuleType) -> None:
        self.folder = folder
        self.proj = proj
        self.app = proj.app

    @contextmanager
    def worker(
        self, *options: str, name: str = "w1", ready: bool = True, settings: Mapping[str, object] | None = None
    ) -> Iterator["subprocess.Popen[str]"]:
        """A worker that is ready, unless told otherwise; terminated, and if need be killed, at the end."""
        log = self.folder / f"{name}.log"
        command = [
            sys.executable,
            "-m",
            "celery_rs",
            "-A",
            "tests.worker.proj",
            "worker",
            "-n",
            name,
            "-l",
            "info",
            *options,
        ]
        with log.open("w") as output:
            chosen = os.environ | {"PROJ_SETTINGS": json.dumps(settings or {})}
            process = subprocess.Popen(command, stdout=output, stderr=output, text=True, env=chosen)
        try:
            if ready:
                eventually(lambda: " ready." in log.read_text() or process.poll() is not None)
                assert process.poll() is None, log.read_text()
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
                try:
                    process.wait(DEADLINE_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def log(self, name: str = "w1") -> str:
        return (self.folder / f"{name}.log").read_text()

    def lines(self, name: str) -> list[str]:
        """What tasks have noted under that name."""
        file = self.folder / name
        return file.read_text().splitlines() if file.exists() else []

    def saw(self, name: str, times: int = 1) -> None:
        """Wait until tasks have noted that so often."""
        eventually(lambda: len(self.lines(name)) >= times)

    def inject(self, envelopes: Sequence[bytes]) -> None:
        """Put bytes that no client of ours would send into the queue."""
        with sqlite3.connect(self.folder / "proj.sqlite3", isolation_level=None) as file:
            file.execute("BEGIN IMMEDIATE")
            file.executemany(
                "INSERT INTO messages (queue, state, priority, enqueued_at, envelope) VALUES ('celery', 0, 0, 0, ?)",
                [(envelope,) for envelope in envelopes],
            )
            file.execute("COMMIT")
        file.close()
        self.proj.add.delay(0, 0)  # who commits wakes a worker; a foreign writer does not

    def column(self, name: str) -> list[object]:
        """What the messages have there, for what no client can see."""
        with closing(sqlite3.connect(self.folder / "proj.sqlite3")) as file:
            return [value for (value,) in file.execute(f"SELECT {name} FROM messages ORDER BY id")]

    def let_go(self, name: str) -> None:
        (self.folder / f"{name}.go").touch()


def environment(folder: Path) -> dict[str, str]:
    return {"PROJ_BROKER": f"sqlite:///{folder}/proj.sqlite3", "PROJ_FOLDER": str(folder), "PYTHONPATH": os.getcwd()}


@contextmanager
def project_in(folder: Path, monkeypatch: pytest.MonkeyPatch, broker: str | None = None) -> Iterator[Project]:
    """A project of its own in `folder`; its tasks are imported anew, with its broker: a file in it without another."""
    for name, value in (environment(folder) | ({} if broker is None else {"PROJ_BROKER": broker})).items():
        monkeypatch.setenv(name, value)
    sys.modules.pop("tests.worker.proj", None)
    proj = importlib.import_module("tests.worker.proj")
    yield Project(folder, proj)
    proj.app.close()
    sys.modules.pop("tests.worker.proj", None)
