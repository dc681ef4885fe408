"""What a contestant is: an interpreter, a package in it, settings, and what those settings promise."""

import json
import os
import shlex
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.processes import Server

ROOT = Path(__file__).resolve().parents[2]
CONCURRENCY = 2


class ContestantError(Exception):
    """A contestant could not be set up, or one of its processes failed; the message is for people."""


class Missing(ContestantError):
    """A contestant's packages are not there; the message says what installs them. The others run without it."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """One queue system in one configuration. Everything not said in `settings` is its default."""

    name: str
    package: str
    """What the app module imports `Celery` from, and `python -m` runs where `worker` names nothing else."""
    python: Path
    settings: Callable[[Path, bool], dict[str, Any]]
    """(a directory of its own, results stored?) → the app's settings."""
    libraries: tuple[str, ...]
    """Distributions whose versions belong beside the figures."""
    durability: str
    acknowledgement: str
    caveat: str = ""
    """What else a reader must know before comparing."""
    prepare: Callable[[], None] = lambda: None
    """Install what is missing; raises Missing."""
    install: str = "make build"
    """The command that does so."""
    broker: Callable[[Path], Server] | None = None
    """Start a broker for one run in its directory, before `settings` is asked; raises ContestantError."""
    server_versions: Callable[[], Mapping[str, str]] = dict
    """What that broker is; raises ContestantError."""
    caller_stays: bool = False
    """Do results go to the caller's own queue, so that they are lost once it is gone?"""
    worker: tuple[str, ...] = ()
    """Its worker's command line, where that is not Celery's: a program that lies beside `python`, and arguments."""
    copies: int = 1
    """How many such workers run, where each is one process only."""
    receivers: bool = False
    """Is somebody connected to the signals of a task's life?"""
    lacks: Mapping[str, str] = field(default_factory=dict)
    """What it cannot do, and why in one clause: results, bulk, eta, rate_limit, routes or signals."""

    def environment_for(self, place: Path, marks: Path, results: bool) -> dict[str, str]:
        """The environment of its processes, working in `place`."""
        return {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "TMPDIR": str(place),
            "VIRTUAL_ENV": str(self.python.parents[1]),
            "BENCH_PACKAGE": self.package,
            "BENCH_SETTINGS": json.dumps(self.settings(place, results)),
            "BENCH_MARKS": str(marks),
            "BENCH_RECEIVERS": "yes" if self.receivers else "",
        }

    def worker_command(self) -> list[str]:
        """Its worker's command line."""
        if self.worker:
            program, *arguments = self.worker
            one = [str(self.python.with_name(program)), *arguments]
            others = f"{shlex.join(one)} & " * (self.copies - 1)
            return ["sh", "-c", f"{others}exec {shlex.join(one)}"] if others else one
        celery = [str(self.python), "-m", self.package, "-A", "bench.inside.app", "worker"]
        return [*celery, "-c", str(CONCURRENCY), "-l", "WARNING"]

    def client_command(self, job: str, *given: object) -> list[str]:
        """The client's command line."""
        return [str(self.python), "-m", "bench.inside.client", job, *map(str, given)]

    def versions(self) -> dict[str, str]:
        """Its interpreter, its libraries, the SQLite it is linked with, its broker. Raises Missing without them."""
        ask = (
            "import json, platform, sqlite3, sys; from importlib.metadata import version;"
            "found = {name: version(name) for name in sys.argv[1:]};"
            "print(json.dumps({'python': platform.python_version(), **found, 'sqlite': sqlite3.sqlite_version}))"
        )
        try:
            done = subprocess.run(
                [self.python, "-c", ask, *self.libraries], capture_output=True, text=True, check=True, timeout=30
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise Missing(
                f"{', '.join(self.libraries)} is not in {self.python.parents[1].name}: run `{self.install}`"
            ) from error
        answer: dict[str, str] = json.loads(done.stdout)
        return {**answer, **self.server_versions()}
