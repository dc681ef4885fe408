"""Both sides of the interop tests as processes: one project, run by real Celery from `.venv-celery` and by celery-rs.

The two never share an interpreter. Whatever a test starts here is stopped when its project ends.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.deadlines import DEADLINE_S

ROOT = Path(__file__).parents[2]
CELERY = ROOT / ".venv-celery" / "bin" / "python"

MODULE = """
import json
import os
import time

from {package} import Celery

app = Celery("proj")
app.conf.update(json.loads(os.environ["PROJ_SETTINGS"]))
FOLDER = os.environ["PROJ_FOLDER"]


@app.task
def add(x, y):
    return x + y


@app.task
def fail():
    raise ValueError("boom", 1)


@app.task(bind=True, max_retries=1)
def again(self):
    raise self.retry(exc=KeyError("k"), countdown=0.1)


@app.task
def hold(name):
    open(os.path.join(FOLDER, name + ".started"), "w").close()
    while not os.path.exists(os.path.join(FOLDER, name + ".go")):
        time.sleep(0.005)
    return name


@app.task(bind=True)
def telling(self, done):
    self.send_event("task-progress", done=done)
    return done
"""


class Running:
    """A process and what it has printed so far. A thread reads its output until it ends."""

    def __init__(self, command: Sequence[str], folder: Path, env: Mapping[str, str]) -> None:
        self.process = subprocess.Popen(
            command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.lines: list[str] = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, name="output", daemon=True)
        self._reader.start()

    def wait_for(self, text: str) -> str:
        """The first line with `text`."""
        with self._news:
            self._news.wait_for(lambda: self._find(text) or not self._reader.is_alive(), DEADLINE_S)
            found = self._find(text)
        assert found is not None, f"{text!r} was not printed in time, but:\n{self.output}"
        return found

    @property
    def output(self) -> str:
        return "".join(self.lines)

    def ends(self) -> int:
        """Wait for its end; the exit code."""
        code = self.process.wait(DEADLINE_S)
        self._reader.join(DEADLINE_S)
        return code

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(DEADLINE_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.ends()

    def _find(self, text: str) -> str | None:
        return next((line for line in self.lines if text in line), None)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._news:
                self.lines.append(line)
                self._news.notify_all()
        self.process.stdout.close()
        with self._news:
            self._news.notify_all()


class Project:
    """A folder with the module `proj`, whose app is configured by `settings`, and everything that is run in it."""

    package: str
    interpreter: str

    def __init__(
        self, folder: Path, broker: str, settings: Mapping[str, object] | None = None, module: str = MODULE
    ) -> None:
        self.folder = folder
        self.settings: dict[str, object] = {"broker_url": broker, **(settings or {})}
        folder.mkdir(parents=True)
        (folder / "proj.py").write_text(module.replace("{package}", self.package))
        self.running: list[Running] = []
        self._started = ExitStack()

    def worker(self, *options: str, name: str = "w1@host", wait: bool = True) -> Running:
        """A worker, which is ready unless told otherwise."""
        worker = self.start("-A", "proj", "worker", "-n", name, "-l", "INFO", *options)
        if wait:
            worker.wait_for(" ready.")
        return worker

    def start(self, *words: str) -> Running:
        """A command that goes on until the project ends."""
        running = Running([self.interpreter, "-u", "-m", self.package, *words], self.folder, self.env)
        self.running.append(running)
        self._started.callback(running.stop)
        return running

    def run(self, *words: str, app: str = "proj") -> subprocess.CompletedProcess[str]:
        """A command of the program's, to its end."""
        return self._run("-m", self.package, "-A", app, *words)

    def python(self, code: str) -> Any:
        """Run code that has `proj`, `app` and `DEADLINE_S`, and may `say(value)`; the last value said."""
        prelude = (
            "import json, proj\nfrom proj import app\n"
            f"DEADLINE_S = {DEADLINE_S}\n"
            "def say(value): print('\\x01' + json.dumps(value))\n"
        )
        done = self._run("-c", prelude + code)
        assert done.returncode == 0, done.stderr
        said = [line[1:] for line in done.stdout.splitlines() if line.startswith("\x01")]
        return json.loads(said[-1]) if said else None

    def started(self, name: str) -> bool:
        """Whether a `hold` of that name runs, or has run."""
        return (self.folder / f"{name}.started").exists()

    def let_go(self, name: str) -> None:
        """Let a `hold` of that name end."""
        (self.folder / f"{name}.go").touch()

    @property
    def env(self) -> dict[str, str]:
        foreign = ("APP", "BROKER_URL", "RESULT_BACKEND", "CONFIG_MODULE")
        own = {name: value for name, value in os.environ.items() if "CELERY" not in name and name not in foreign}
        own.pop("PYTHONPATH", None)
        project = {"PROJ_SETTINGS": json.dumps(self.settings), "PROJ_FOLDER": str(self.folder)}
        # Both refuse to read pickle as root, unless told that it is meant.
        return own | project | {"C_FORCE_ROOT": "1"}

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.interpreter, *words],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=3 * DEADLINE_S,  # what it waits for itself has the deadline of its own
            check=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._started.close()


class CeleryProject(Project):
    """Run by real Celery."""

    package = "celery"
    interpreter = str(CELERY)


class OurProject(Project):
    """Run by celery-rs."""

    package = "celery_rs"
    interpreter = sys.executable
