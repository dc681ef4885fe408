"""The processes of a worker, found from outside, as an operator's `kill` would find them."""

from collections import defaultdict
from pathlib import Path


def children() -> dict[int, list[int]]:
    """Every living process's children, by pid."""
    family: dict[int, list[int]] = defaultdict(list)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name, in parentheses, may hold anything: what counts stands behind the last one.
            pid, fields = int(stat.parent.name), stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it is gone
        if fields[0] != "Z":
            family[int(fields[1])].append(pid)
    return family


def pool_of(worker: int, *, nursery: bool = True) -> list[int]:
    """The children that run the tasks of a worker: its nursery's children, or its own where there is none."""
    family = children()
    return [child for nurse in family[worker] for child in family[nurse]] if nursery else list(family[worker])


def alive(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def listens(pid: int, signal: int) -> bool:
    """Whether the process has a handler for the signal: whether it has got that far."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    return bool(int(status.partition("SigCgt:")[2].split()[0], 16) >> (signal - 1) & 1)
