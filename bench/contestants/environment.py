"""Celery's own environment, `.venv-celery`: the one of the interop tests, made by the Makefile."""

import subprocess

from bench.contestants.base import ROOT, ContestantError

PYTHON = ROOT / ".venv-celery" / "bin" / "python"


def prepare() -> None:
    """Make it if it is not there."""
    if PYTHON.exists():
        return
    print(f"[bench] installing Celery into {PYTHON.parents[1].name} (once, about 20 seconds)", flush=True)
    done = subprocess.run(
        ["make", "--directory", str(ROOT), ".make/celery"], capture_output=True, text=True, timeout=300, check=False
    )
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no output"]
        raise ContestantError(f"celery could not be installed: {last[0]}")
