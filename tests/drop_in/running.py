"""One project, run as it is by either program: its worker and its client, what they print and what they note."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from tests.deadlines import DEADLINE_S

PROJECT = Path(__file__).parent / "project"
CELERY = Path(__file__).parents[2] / ".venv-celery" / "bin" / "python"

_TASK_LINE = re.compile(r"(proj\.[\w.]+\[[\w-]+\]: .*)$", re.MULTILINE)


class Program(NamedTuple):
    """How a worker and a script are started."""

    worker: Sequence[str]
    script: Sequence[str]
    env: Mapping[str, str] = {}


REAL = Program([str(CELERY), "-m", "celery"], [str(CELERY)])
OURS = Program(
    [sys.executable, "-m", "celery_rs"], [sys.executable, "-m", "celery_rs.drop_in"], {"CELERY_RS_DROP_IN": "1"}
)


class Told(NamedTuple):
    """What can be seen from outside."""

    results: dict[str, Any]
    runs: dict[str, list[dict[str, Any]]]
    """By task id, what the processes that run tasks noted, in order, run by run."""
    main: dict[str, list[dict[str, Any]]]
    """The same of the worker's main process, in no order: a retry may come before the end of its first run is known."""
    logged: list[str]
    """What tasks logged, without time and process."""


_OF_MAIN = frozenset({"task_received", "task_revoked"})


def run(program: Program, directory: Path, broker: str, results: str) -> Told:
    """Copy the project, start its worker, run its client, and stop the worker as an operator does."""
    shutil.copytree(PROJECT, directory)
    env = {name: value for name, value in os.environ.items() if "CELERY" not in name and name != "PYTHONPATH"}
    env |= {"PROJ_BROKER": broker, "PROJ_RESULTS": results, "PROJ_JOURNAL": str(directory / "journal"), **program.env}
    log = directory / "worker.log"
    with log.open("w") as output:
        worker = subprocess.Popen(
            [*program.worker, "-A", "proj", "worker", "-l", "INFO", "-n", "w@host"],
            cwd=directory,
            env=env,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        client = subprocess.run(
            [*program.script, "client.py", str(directory)],
            cwd=directory,
            env=env,
            capture_output=True,
            text=True,
            timeout=3 * DEADLINE_S,
            check=False,
        )
        worker.send_signal(signal.SIGTERM)
        stopped = worker.wait(DEADLINE_S)
    except subprocess.TimeoutExpired as error:
        raise AssertionError(f"{error}: {error.stderr!r}\n{log.read_text()}") from None
    finally:
        worker.kill()
        worker.wait()
    assert client.returncode == 0, f"{client.stderr}\n{log.read_text()}"
    assert stopped == 0, log.read_text()
    return _told(client.stdout, directory, log.read_text())


def _told(output: str, directory: Path, log: str) -> Told:
    runs: dict[str, list[dict[str, Any]]] = defaultdict(list)
    main: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in (directory / "journal").read_text().replace(str(directory), "DIRECTORY").splitlines():
        noted = json.loads(line)
        of_main = noted["what"] in _OF_MAIN or noted["what"].startswith("request ") or noted["id"] is None
        kept = main if of_main else runs
        kept[noted.pop("id") or "worker"].append(noted)
    for noted_by_id in main.values():
        noted_by_id.sort(key=json.dumps)
    for noted_by_id in runs.values():
        # A retry may begin in another process before the run that asked for it has said its last word.
        noted_by_id.sort(key=itemgetter("run"))
    return Told(json.loads(output), dict(runs), dict(main), sorted(_TASK_LINE.findall(log)))
