"""What a program under measurement has used."""

import os
import sys
from pathlib import Path

from bench.processes import Program

_ROUNDED_OFF = 2 / os.sysconf("SC_CLK_TCK")  # seconds: what an ended child used is told in whole ticks, user and system
_CHILD = """
import os, sys, time
pid = os.fork()
if not pid:
    while time.process_time() < 0.2:
        pass
    os._exit(0)
os.waitpid(pid, 0)
open("ended", "w").close()
time.sleep(60)
"""


def test_a_child_that_has_ended_still_counts(tmp_path: Path):
    os.mkfifo(tmp_path / "ended")
    program = Program([sys.executable, "-c", _CHILD], environment={}, place=tmp_path, log=tmp_path / "log")

    with program:
        (tmp_path / "ended").open().close()

        assert program.cpu() >= 0.2 - _ROUNDED_OFF
