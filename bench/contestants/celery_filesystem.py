"""Celery on its filesystem broker, results in files: what it offers without a server.

It lives in a virtual environment of its own, `.venv-bench`, made here from the dependency group `bench`.
"""

import subprocess
import sys
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
    """Make the virtual environment, once for each version of pyproject.toml."""
    wanted = ROOT / "pyproject.toml"
    if _STAMP.exists() and PYTHON.exists() and _STAMP.stat().st_mtime >= wanted.stat().st_mtime:
        return
    print(f"[bench] installing Celery into {VENV.relative_to(ROOT)} (once, about 10 seconds)", flush=True)
    pip = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
    for step in (
        [] if PYTHON.exists() else [sys.executable, "-m", "venv", str(VENV)],
        [*pip, "--upgrade", "pip>=25.1"],  # dependency groups
        [*pip, "--group", f"{wanted}:bench"],
    ):
        done = subprocess.run(step, capture_output=True, text=True, timeout=300, check=False) if step else None
        if done is not None and done.returncode:
            last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no output"]
            raise ContestantError(f"celery could not be installed into {VENV.name}: {last[0]}")
    _STAMP.touch()


_DURABILITY = "plain files, no sync: what a worker has fetched ahead is in its memory only, lost when it is killed"

CONTESTANT = Contestant(
    name="celery-filesystem",
    package="celery",
    python=PYTHON,
    settings=settings,
    libraries=("celery", "kombu"),
    durability=_DURABILITY,
    acknowledgement="early, when the task is handed to the pool",
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
    prepare=prepare,
)
