"""Stop a process so that nothing of it runs any more: the kernel takes its time with threads that are at work."""

import os
import signal
from pathlib import Path

from tests.deadlines import eventually


def stop(pid: int, *, group: bool = False) -> None:
    """Returns once every thread has stopped, of the whole process group if that is asked for."""
    (os.killpg if group else os.kill)(pid, signal.SIGSTOP)
    eventually(lambda: all(map(_is_stopped, _members(pid) if group else [pid])))


def _members(group: int) -> list[int]:
    numbers = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [number for number in numbers if _fields(Path(f"/proc/{number}/stat"))[2:3] == [str(group)]]


def _is_stopped(pid: int) -> bool:
    states = [_fields(task / "stat")[:1] for task in Path(f"/proc/{pid}/task").iterdir()]
    return all(state in (["T"], ["Z"], []) for state in states)


def _fields(stat: Path) -> list[str]:
    """What follows the name: state, parent, group, ...; nothing of a process that is gone."""
    try:
        return stat.read_text().rpartition(") ")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
