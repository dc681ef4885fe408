"""Environments of those who cannot live beside celery_rs: `.venv-NAME`, made by the Makefile when first asked for."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.contestants.base import ROOT, Missing


@dataclass(frozen=True, slots=True)
class Environment:
    """One of them; its name is that of the dependency group in it."""

    name: str

    @property
    def python(self) -> Path:
        """Its interpreter, there or not."""
        return ROOT / f".venv-{self.name}" / "bin" / "python"

    @property
    def command(self) -> str:
        """What makes it."""
        return f"make .make/{self.name}"

    def prepare(self) -> None:
        """Make it if it is not there. Raises Missing."""
        if self.python.exists():
            return
        print(f"[bench] {self.command} (once, about half a minute)", flush=True)
        make = ["make", "--directory", str(ROOT), f".make/{self.name}"]
        done = subprocess.run(make, capture_output=True, text=True, timeout=600, check=False)
        if done.returncode:
            last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no output"]
            raise Missing(f"there is no .venv-{self.name}: run `{self.command}`, which just said: {last[0]}")


CELERY = Environment("celery")
"""Celery itself, as in the interop tests, and dramatiq."""
PEERS = Environment("peers")
ARQ = Environment("peers-arq")
SAQ = Environment("peers-saq")
