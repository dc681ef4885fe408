"""What a scenario is, and the stage it plays on: one contestant, one empty directory, nothing left behind."""

import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Timer
from typing import Any

from bench import marks
from bench.contestants import Contestant, ContestantError
from bench.marks import Seen
from bench.processes import Program, Server
from bench.report import Figure

WORKER = Figure("cpu", "worker CPU", "us/task", "lower")
BROKER = Figure("broker", "broker CPU", "us/task", "lower")
START = 30.0
"""Seconds that a worker may take to come up, however short a stretch of work is."""
_LOOK_EVERY = 0.01
_SETTLE = 0.3


@dataclass(frozen=True, slots=True)
class Effort:
    """How much to do, where the command line says; None is the scenario's own default."""

    tasks: int | None = None
    limit: float = 10.0
    """Seconds for one stretch of work; whoever needs longer is cut short and the report says so."""
    idle: float = 10.0
    long: float = 10.0


@dataclass(frozen=True, slots=True)
class Measured:
    """What one run showed."""

    values: Mapping[str, float]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Scenario:
    """One question."""

    name: str
    question: str
    tasks: int | None
    """How many, where the command line does not say; None where their number does not matter."""
    results: tuple[bool, ...]
    """The settings of results under which it is asked."""
    figures: tuple[Figure, ...]
    """The first is the one that is charted, unless some say at which point of `axis` they were measured."""
    run: Callable[["Stage"], Measured]
    """Ask it once."""
    needs: frozenset[str] = frozenset()
    """What a contestant must not lack."""
    axis: str = ""
    """What the points are that figures were measured at."""


@dataclass(slots=True)
class Stage:
    """One contestant's place for one run."""

    contestant: Contestant
    place: Path
    results: bool
    tasks: int
    effort: Effort
    broker: Server | None = None
    """The server of this run, where the contestant has one."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What the scenario adds to the contestant's settings."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """And to its environment."""
    marks: Path = field(init=False)

    def __post_init__(self) -> None:
        self.marks = Path(tempfile.mkdtemp(prefix="marks-", dir=self.place))

    def anew(self, *, settings: Mapping[str, Any] | None = None, variables: Mapping[str, str] | None = None) -> "Stage":
        """The same place and broker with nothing marked yet."""
        return replace(self, settings=settings or {}, variables=variables or {})

    def client(self, job: str, **given: object) -> dict[str, Any]:
        """Run a client process to its end and return what it saw. Its limit is the stage's, unless told."""
        limit = self.effort.limit
        try:
            done = subprocess.run(
                self.contestant.client_command(job, json.dumps({"limit": limit, **given})),
                env=self._environment(),
                cwd=self.place,
                capture_output=True,
                text=True,
                timeout=3 * limit + 30,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise ContestantError(f"the client did not finish {job!r} within {3 * limit + 30:g} s") from None
        if done.returncode:
            raise ContestantError(f"the client failed at {job!r}: {_last_line(done.stderr)}")
        seen: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return seen

    @contextmanager
    def staying_client(
        self, job: str, **given: object
    ) -> Iterator[tuple[dict[str, Any], Callable[[], dict[str, Any]]]]:
        """A client process that has said the first half of what it saw, and what makes it go on and say the rest."""
        patience = 3 * self.effort.limit + 30
        with subprocess.Popen(
            self.contestant.client_command(job, json.dumps({"limit": self.effort.limit, **given})),
            env=self._environment(),
            cwd=self.place,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:

            def says() -> dict[str, Any]:
                assert process.stdout is not None
                assert process.stderr is not None
                guard = Timer(patience, process.kill)
                guard.start()
                line = process.stdout.readline()
                guard.cancel()
                if not line:
                    raise ContestantError(f"the client failed at {job!r}: {_last_line(process.stderr.read())}")
                seen: dict[str, Any] = json.loads(line)
                return seen

            def goes_on() -> dict[str, Any]:
                assert process.stdin is not None
                process.stdin.close()
                return says()

            try:
                yield says(), goes_on
            finally:
                process.kill()

    def worker(self, *options: str) -> Program:
        """Start a worker; a context manager that ends it."""
        return Program(
            [*self.contestant.worker_command(), *options],
            environment=self._environment(),
            place=self.place,
            log=self.place / "worker.log",
        )

    def wait(self, worker: Program, reached: Callable[[Seen], bool], limit: float) -> Seen:
        """Look at the marks until they satisfy, or the time is over. Raises ContestantError if the worker ends."""
        until = time.monotonic() + limit
        while True:
            seen = marks.read(self.marks)
            if reached(seen) or time.monotonic() > until:
                return seen
            if not worker.is_running():
                raise ContestantError(f"the worker ended by itself: {worker.last_words()}")
            time.sleep(_LOOK_EVERY)

    def warm_up(self, worker: Program) -> None:
        """Return once the worker has run a task and calmed down."""
        self.client("enqueue", calls=1)
        self.first(worker)
        time.sleep(_SETTLE)

    def first(self, worker: Program) -> Seen:
        """Return once the worker has begun a task. Raises ContestantError if it does not."""
        seen = self.wait(worker, lambda seen: seen.tasks > 0, START)
        if not seen.tasks:
            raise ContestantError(f"no task ran within {START:g} s: {worker.last_words()}")
        return seen

    def settled_cpu(self, worker: Program) -> float:
        """The worker's CPU seconds, once what follows a task (acknowledging, storing) has had its time."""
        time.sleep(_SETTLE)
        return worker.cpu()

    def broker_cpu(self) -> float:
        """CPU seconds of the broker's process so far; 0 where it is a file."""
        return 0.0 if self.broker is None else self.broker.cpu()

    def broker_figure(self, seconds: float, tasks: int) -> dict[str, float]:
        """The broker's CPU in us a task; nothing where it is a file."""
        return {} if self.broker is None else {"broker": seconds / tasks * 1e6}

    def _environment(self) -> dict[str, str]:
        environment = self.contestant.environment_for(self.place, self.marks, self.results)
        settings = {**json.loads(environment["BENCH_SETTINGS"]), **self.settings}
        return {**environment, "BENCH_SETTINGS": json.dumps(settings), **self.variables}


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "no output"
