"""How much memory the worker's main process takes, for those who look for leaks."""

import builtins
import gc
from collections import Counter
from pathlib import Path

from celery_rs.worker.commands.state import WorkerState
from celery_rs.worker.commands.table import Reply, command

_STATUS = Path("/proc/self/status")
SAMPLES_MOST = 1000

_samples: list[float] = []


@command("memsample", kind="inspect", help="Note how much memory it takes now, and say it.")
def memsample(state: WorkerState) -> Reply:
    """None where the system does not tell."""
    rss = _resident()
    if rss is None:
        return None
    _samples.append(rss)
    del _samples[:-SAMPLES_MOST]
    return _text(rss)


@command("memdump", kind="inspect", args="[n=10]", help="What `memsample` noted: n samples, evenly chosen.")
def memdump(state: WorkerState, samples: int = 10) -> Reply:
    count = max(1, min(int(samples), len(_samples)))
    chosen = [_samples[i * (len(_samples) - 1) // max(1, count - 1)] for i in range(count)] if _samples else []
    rss = _resident()
    lines = [f"- rss (sample): {_text(sample)}" for sample in chosen]
    return "\n".join([*lines, f"- rss (end): {'unknown' if rss is None else _text(rss)}."])


@command(
    "objgraph",
    kind="inspect",
    args="[type=Request] [num=200 [depth=10]]",
    help="Not there: Celery draws a picture of objects of a type; the answer says how many there are.",
)
def objgraph(state: WorkerState, type: str = "Request", num: int = 200, max_depth: int = 10) -> Reply:
    """The picture needs the package objgraph, which is none of ours: it is refused, with the count at hand."""
    # The class an object has, not the one it claims: a task that nobody has used yet wakes when it is asked for that.
    count = Counter(kind.__name__ for kind in map(builtins.type, gc.get_objects()))[type]
    return {"error": f"objgraph is not supported: no picture is drawn here; there are {count} objects of type {type!r}"}


def _resident() -> float | None:
    """Bytes in memory."""
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        name, _, value = line.partition(":")
        if name == "VmRSS":
            return float(value.split()[0]) * 1024
    return None


def _text(size: float) -> str:
    return f"{size / 2**20:.2f}MB"
