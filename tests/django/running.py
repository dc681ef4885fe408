"""The stock project of this folder, run by real Celery or by celery-rs: its commands, its worker and its scripts."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from tests.deadlines import DEADLINE_S
from tests.interop.celery_side import CELERY, Running

PROJECT = Path(__file__).parent / "project"
OUR_APP, THEIR_APP = "celery_rs.django.results", "django_celery_results"


class Program(NamedTuple):
    """How a worker and a script are started, and which app has the tables."""

    worker: Sequence[str]
    script: Sequence[str]
    app: str
    env: Mapping[str, str] = {}


REAL = Program([str(CELERY), "-u", "-m", "celery"], [str(CELERY)], THEIR_APP)
OURS = Program(
    [sys.executable, "-u", "-m", "celery_rs"],
    [sys.executable, "-m", "celery_rs.drop_in"],
    OUR_APP,
    {"CELERY_RS_DROP_IN": "1"},
)


class DjangoProject:
    """A copy of the project, and what is started in it until it is left."""

    def __init__(self, folder: Path, program: Program, broker: str, **settings: str) -> None:
        """`settings`: `database` (as JSON), `results`, and others that project/proj/settings.py reads."""
        shutil.copytree(PROJECT, folder)
        self.folder = folder
        self._program = program
        own = {name: value for name, value in os.environ.items() if "CELERY" not in name and name != "PYTHONPATH"}
        project = {"PROJ_BROKER": broker, "PROJ_RESULTS_APP": program.app}
        project |= {f"PROJ_{name.upper()}": value for name, value in settings.items()}
        self.env: dict[str, str] = {**own, **project, **program.env}
        self._started = ExitStack()

    def manage(self, *words: str) -> str:
        """A command of `manage.py`, to its end; what it prints."""
        return self._run("manage.py", *words)

    def play(self) -> dict[str, Any]:
        """What the project's own client sees."""
        seen: dict[str, Any] = json.loads(self.manage("play").splitlines()[-1])
        return seen

    def script(self, code: str) -> Any:
        """Run code in the project, set up; it may `say(value)`; the last value said."""
        prelude = (
            "import json, os\nos.environ['DJANGO_SETTINGS_MODULE'] = 'proj.settings'\nimport django\ndjango.setup()\n"
            "def say(value): print('\\x01' + json.dumps(value))\n"
        )
        (self.folder / "script.py").write_text(prelude + code)
        said = [line[1:] for line in self._run("script.py").splitlines() if line.startswith("\x01")]
        return json.loads(said[-1]) if said else None

    def worker(self, *options: str) -> Running:
        """A worker, which is ready."""
        words = [*self._program.worker, "-A", "proj", "worker", "-n", "w@host", "-l", "INFO", "-c", "2", *options]
        running = Running(words, self.folder, self.env)
        self._started.callback(running.stop)
        running.wait_for(" ready.")
        return running

    def _run(self, *words: str) -> str:
        done = subprocess.run(
            [*self._program.script, *words],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=2 * DEADLINE_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._started.close()
