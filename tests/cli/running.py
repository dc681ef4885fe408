"""The commands as a user types them: processes of their own, in a project directory."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from tests.deadlines import DEADLINE_S

PROJECT = """
import os
import time

from celery_rs import Celery

app = Celery("proj", broker="sqlite:///tasks.sqlite3", backend="sqlite:///tasks.sqlite3")


@app.task
def add(x, y):
    return x + y


@app.task
def fail():
    raise ValueError("no")


@app.task
def until(path):
    while not os.path.exists(path):
        time.sleep(0.01)
    return "seen"
"""


def environment() -> dict[str, str]:
    foreign = ("APP", "BROKER_URL", "RESULT_BACKEND", "CONFIG_MODULE")
    return {name: value for name, value in os.environ.items() if "CELERY" not in name and name not in foreign}


def celery_rs(
    project: Path, *arguments: str, app: str = "proj", env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "celery_rs", "-A", app, *arguments],
        cwd=project,
        env=environment() | dict(env or {}),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


def call(project: Path, task: str, *args: object) -> str:
    """Send a task; its id."""
    called = celery_rs(project, "call", task, "-a", json.dumps(args))
    assert called.returncode == 0, called.stderr
    return called.stdout.strip()


def result(project: Path, task_id: str) -> str:
    """Wait for a task's value."""
    ended = celery_rs(project, "result", task_id, "--timeout", str(DEADLINE_S))
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


class RunningWorker:
    """A worker process and what it has printed so far. A thread reads its output until it ends."""

    def __init__(self, project: Path, *options: str, env: Mapping[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "celery_rs", "-A", "proj", "worker", "-n", "w1@test", "-l", "info", *options],
            cwd=project,
            env=environment() | dict(env or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, name="worker output", daemon=True)
        self._reader.start()
        self.wait_for("w1@test ready.")

    def wait_for(self, text: str) -> str:
        """The first line with `text`."""
        with self._news:
            assert self._news.wait_for(lambda: self._find(text) is not None or not self._is_read(), DEADLINE_S), (
                self.output
            )
            found = self._find(text)
        assert found is not None, self.output
        return found

    @property
    def output(self) -> str:
        return "".join(self.lines)

    def end(self, *signals: int) -> int:
        """Send signals; the exit code."""
        for number in signals:
            self.process.send_signal(number)
        code = self.process.wait(DEADLINE_S)
        self._reader.join(DEADLINE_S)
        return code

    def kill(self) -> None:
        self.process.kill()
        self.end()

    def _find(self, text: str) -> str | None:
        return next((line for line in self.lines if text in line), None)

    def _is_read(self) -> bool:
        return self._reader.is_alive()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._news:
                self.lines.append(line)
                self._news.notify_all()
        self.process.stdout.close()
