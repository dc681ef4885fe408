"""A worker that starts anew in the same process: what becomes of the interpreter that ends."""

import os
import subprocess
import sys

PROGRAM = """
import atexit, os
from celery_rs.worker import restart

if "AGAIN" in os.environ:
    print("second", os.getpid())
else:
    os.environ["AGAIN"] = "1"
    atexit.register(print, "at exit")
    print("first", os.getpid())
    restart.restart_at_exit()
"""


def test_what_others_want_at_the_end_of_a_process_happens_before_it_starts_anew() -> None:
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}

    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, env=buffered, check=True)

    first, between, second = ended.stdout.splitlines()
    assert between == "at exit"
    assert first.split() == ["first", second.split()[1]]
