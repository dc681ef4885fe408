"""`make demo` is the first thing that a newcomer runs."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.deadlines import DEADLINE_S

ROOT = Path(__file__).parents[2]


def demo(home: Path) -> subprocess.Popen[str]:
    """The demo, with its temporary directory in `home`."""
    environment = {**os.environ, "TMPDIR": str(home), "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "demo.run"], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    )


def processes_in(home: Path) -> list[str]:
    """The processes whose working directory lies there, as far as the kernel tells (Linux)."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink().is_relative_to(home):
                found.append(process.name)
        except OSError:
            continue  # it has ended, or is not ours to look at
    return found


def test_the_demo_shows_everything_and_leaves_nothing(tmp_path: Path) -> None:
    with demo(tmp_path) as process:
        said, _ = process.communicate(timeout=DEADLINE_S)

    assert process.returncode == 0, said
    assert "new rate limit set successfully" in said
    assert list(tmp_path.iterdir()) == []
    assert processes_in(tmp_path) == []


def test_the_demo_stops_its_worker_when_it_is_stopped(tmp_path: Path) -> None:
    with demo(tmp_path) as process:
        assert process.stdout is not None
        while "1 node online" not in (line := process.stdout.readline()):
            assert line, "the demo ended early"
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=DEADLINE_S)

    assert process.returncode == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []
    assert processes_in(tmp_path) == []
