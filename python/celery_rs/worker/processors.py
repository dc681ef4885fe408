"""How many processors this process may really use (`-c auto`): those it is bound to, within its control group."""

import os
from collections.abc import Iterator
from math import ceil
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")


def usable_processors(root: Path = ROOT, own: Path = OWN) -> int:
    """At least 1; a quota of one and a half processors counts as two. `root` and `own` are Linux's files."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [quota for folder in _folders(root, own) if (quota := _quota(folder)) is not None]
    return max(1, min(bound, *map(ceil, quotas))) if quotas else max(1, bound)


def _folders(root: Path, own: Path) -> Iterator[Path]:
    """The folders of this process's control group and of all above it: each may have a quota."""
    for line in _read(own).splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers and "cpu" not in controllers.split(","):
            continue
        mount = root / controllers if controllers else root
        group = mount / path.lstrip("/")
        while mount in (group, *group.parents):
            yield group
            if group == mount:
                break
            group = group.parent


def _quota(folder: Path) -> float | None:
    """Processors' worth of time; version 2 of control groups has one file for it, version 1 two."""
    words = _read(folder / "cpu.max").split() or [
        *_read(folder / "cpu.cfs_quota_us").split(),
        *_read(folder / "cpu.cfs_period_us").split(),
    ]
    if len(words) != 2 or not all(word.isdecimal() and int(word) for word in words):
        return None  # "max" and -1 are none
    return int(words[0]) / int(words[1])


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""
