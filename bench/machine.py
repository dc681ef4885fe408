"""The machine the figures belong to."""

import os
import platform
import subprocess
from pathlib import Path

from bench.contestants import ROOT


def describe(place: Path) -> dict[str, str]:
    """Processor, memory, system, the file system of `place`, the load before the run and the source's commit."""
    return {
        "processor": f"{_processor()}, {len(os.sched_getaffinity(0))} usable cores",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GiB",
        "system": f"{platform.system()} {platform.release()}, {platform.libc_ver()[0]} {platform.libc_ver()[1]}",
        "directory": f"on {_file_system(place)}",
        "load": f"{os.getloadavg()[0]:.2f} in the minute before",
        "source": _commit(),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _file_system(place: Path) -> str:
    """The kind of the mount that holds `place`: the one with the longest matching path."""
    resolved = place.resolve()
    found = ("", "an unknown file system")
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, where, kind, *_ = line.split()
        if resolved.is_relative_to(where) and len(where) >= len(found[0]):
            found = (where, kind)
    return found[1]


def _commit() -> str:
    git = ["git", "-C", str(ROOT)]
    try:
        commit = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run(
            [*git, "status", "--porcelain", "--untracked-files=no"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "not a git checkout"
    return commit.stdout.strip() + (" with local changes" if changed.stdout.strip() else "")
