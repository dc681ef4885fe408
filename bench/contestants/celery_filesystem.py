"""Celery on its filesystem broker, results in files: what it offers without a server.

It lives in a virtual environment of its own, `.venv-bench`, made here from the dependency group `bench`.
"""

import subprocess
import sys
import tomllib
from functools import partial
from pathlib import Path
from typing import Any

from bench.contestants.base import ROOT, Contestant, ContestantError

VENV = ROOT / ".venv-bench"
PYTHON = VENV / "bin" / "python"
_STAMP = VENV / "installed"


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


def prepare() -> None:
    """Make the virtual environment, again only when the dependency group says something else."""
    pyproject = ROOT / "pyproject.toml"
    wanted = "\n".join(tomllib.loads(pyproject.read_text())["dependency-groups"]["bench"])
    if PYTHON.exists() and _STAMP.exists() and _STAMP.read_text() == wanted:
        return
    print(f"[bench] installing {wanted} into {VENV.name} (once, about 10 seconds)", flush=True)
    if not PYTHON.exists():
        _run(sys.executable, "-m", "venv", str(VENV))
    install = (str(PYTHON), "-m", "pip", "--disable-pip-version-check", "--quiet", "install")
    _run(*install, "--upgrade", "pip>=25.1")  # the first that knows dependency groups
    _run(*install, "--group", f"{pyproject}:bench")
    _STAMP.write_text(wanted)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no output"]
        raise ContestantError(f"celery could not be installed into {VENV.name}: {last[0]}")


_CAVEAT = "lists its whole folder to find a message: the longer the queue, the slower"
_DURABILITY = "plain files, no sync: what a worker has fetched ahead is in its memory only, lost when it is killed"

CONTESTANT = Contestant(
    name="celery-filesystem",
    package="celery",
    python=PYTHON,
    settings=settings,
    libraries=("celery", "kombu"),
    durability=_DURABILITY,
    acknowledgement="early, when the task is handed to the pool",
    caveat="looks for messages once a second by default, and " + _CAVEAT,
    prepare=prepare,
)

# The default looks at the folder once a second; this is the same broker with that wait tuned away.
TUNED = Contestant(
    name="celery-filesystem-5ms",
    package="celery",
    python=PYTHON,
    settings=partial(settings, polling_interval=0.005),
    libraries=("celery", "kombu"),
    durability=_DURABILITY,
    acknowledgement="early, when the task is handed to the pool",
    caveat=_CAVEAT,
    prepare=prepare,
)
