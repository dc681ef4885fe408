"""A program under measurement: its whole family of processes, their CPU and memory, and their certain end.

Everything is read from /proc. A family is the program's descendants and whoever is still in its session, so a child
that outlives its parent is found too.
"""

import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Protocol, Self

_PROC = Path("/proc")
_TICK = os.sysconf("SC_CLK_TCK")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_GONE = (FileNotFoundError, ProcessLookupError, PermissionError)


class Process(NamedTuple):
    """A process for good: its pid may be given to another one, its pid and start may not."""

    pid: int
    started: int


class _Stat(NamedTuple):
    pid: int
    parent: int
    session: int
    ticks: int
    of_ended_children: int
    started: int


class Server(Protocol):
    """A broker of one run: a program, or several."""

    def cpu(self) -> float:
        """CPU seconds used so far."""
        ...

    def stop(self) -> None:
        """End it."""
        ...


class Program:
    """One started program. A context manager: leaving it ends the whole family."""

    def __init__(self, command: Sequence[str], *, environment: Mapping[str, str], place: Path, log: Path) -> None:
        self.log = log
        with log.open("wb") as output:
            self.started = time.monotonic_ns()
            self._popen = subprocess.Popen(
                command,
                env=environment,
                cwd=place,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def is_running(self) -> bool:
        """Has it not ended by itself?"""
        return self._popen.poll() is None

    def family(self) -> set[Process]:
        """The program and all that descend from it."""
        everybody = [stat for pid in _pids() if (stat := _stat(pid)) is not None]
        leader = self._popen.pid
        members = {stat.pid for stat in everybody if stat.session == leader or stat.pid == leader}
        while True:
            more = {stat.pid for stat in everybody if stat.parent in members} - members
            if not more:
                return {Process(stat.pid, stat.started) for stat in everybody if stat.pid in members}
            members |= more

    def cpu(self) -> float:
        """CPU seconds that the living members have used so far, and the children that they have seen end."""
        return sum(_cpu(member.pid) for member in self.family())

    def pss(self) -> float:
        """Proportional set size of the whole family in MiB."""
        return sum(_pss(member.pid) for member in self.family()) / 1024

    def last_words(self) -> str:
        """The last line of its log."""
        with suppress(OSError):
            lines = self.log.read_text(errors="replace").strip().splitlines()
            if lines:
                return _COLOUR.sub("", lines[-1])
        return "no output"

    def stop(self) -> None:
        """Kill all: what it was run for has been measured. Harmless when repeated."""
        family = self.family()
        if self.is_running():
            self._popen.kill()
            self._popen.wait()
        for member in family | self.family():  # those listed before the end may have other parents by now
            stat = _stat(member.pid)
            if stat is not None and stat.started == member.started:
                with suppress(*_GONE):
                    os.kill(member.pid, signal.SIGKILL)


def _pids() -> list[int]:
    return [int(entry) for entry in os.listdir(_PROC) if entry.isdigit()]


def _stat(pid: int) -> _Stat | None:
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except _GONE:
        return None
    own, children = int(fields[11]) + int(fields[12]), int(fields[13]) + int(fields[14])
    return _Stat(pid, int(fields[1]), int(fields[3]), own, children, int(fields[19]))


def _cpu(pid: int) -> float:
    """Seconds used. `stat` counts ended threads but whole ticks only, `schedstat` the reverse: the larger is nearer."""
    stat = _stat(pid)
    if stat is None:
        return 0.0
    nanoseconds = 0
    with suppress(*_GONE):
        for path in (_PROC / str(pid) / "task").iterdir():
            nanoseconds += int((path / "schedstat").read_text().split()[0])
    return max(stat.ticks / _TICK, nanoseconds / 1e9) + stat.of_ended_children / _TICK


def _pss(pid: int) -> int:
    with suppress(*_GONE):
        for line in (_PROC / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0
