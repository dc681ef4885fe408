"""The demo (`make demo`): a worker, a client, results, and a rate limit set while the worker runs.

It does what a user would type, in a directory of its own, and prints it as a documentation page would; it ends with
exit code 1 when anything is not as it should be, and in any case stops the worker that it has started.
"""

import contextlib
import importlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from celery_rs.errors import CeleryError

START_S = 20.0
STOP_S = 15.0
RESULT_S = 10.0

LOG = "worker.log"
CALLS = 500
TICKS = 4
NAP_S = 2.5


class DemoError(Exception):
    """Something is not as the demo says it is."""


def main() -> int:
    # So that the worker is stopped, however this ends.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with tempfile.TemporaryDirectory(prefix="celery-rs-demo-") as name:
        home = Path(name)
        (home / LOG).touch()
        shutil.copy(Path(__file__).with_name("tasks.py"), home)
        sys.path.insert(0, str(home))
        try:
            show(home)
        except (DemoError, CeleryError, subprocess.SubprocessError) as error:
            say(f"The demo failed: {error}")
            print("The worker's log:\n" + (home / LOG).read_text())
            return 1
    say("That was all of it. Next: README.md.")
    return 0


def show(home: Path) -> None:
    tasks = importlib.import_module("tasks")
    say("A worker with two processes; broker and result store are a file beside the tasks.")
    with worker(home) as process:
        say("It answers.")
        celery_rs(home, "status")
        call_tasks(tasks)
        limit_ticks(home, tasks)
        stop_while_napping(home, tasks, process)


def call_tasks(tasks: Any) -> None:
    say("Call a task; the call returns at once, the result comes from the worker.")
    result = tasks.add.delay(2, 2)
    value = result.get(timeout=RESULT_S)
    print(f"    >>> result = add.delay(2, 2)\n    >>> result.get()\n    {value}")
    expect(value == 4, f"2 + 2 should be 4, not {value}")

    say(f"{CALLS} calls at once.")
    began = time.perf_counter()
    results = [tasks.add.delay(number, number) for number in range(CALLS)]
    total = sum(result.get(timeout=RESULT_S) for result in results)
    print(f"    >>> results = [add.delay(n, n) for n in range({CALLS})]")
    print(f"    >>> sum(result.get() for result in results)\n    {total}")
    print(f"    (sent, run and fetched in {time.perf_counter() - began:.2f} s)")
    expect(total == CALLS * (CALLS - 1), f"the sum is wrong: {total}")

    say("A task that fails tells its caller why.")
    failed = tasks.divide.delay(1, 0)
    error = failed.get(timeout=RESULT_S, propagate=False)
    print(f"    >>> result = divide.delay(1, 0)\n    >>> result.get(propagate=False)\n    {error!r}")
    expect(isinstance(error, ZeroDivisionError), f"expected a ZeroDivisionError, got {error!r}")
    last = (failed.traceback or "nothing").splitlines()[-1]
    print(f"    >>> print(result.traceback.splitlines()[-1])\n    {last}")
    expect(last == "ZeroDivisionError: division by zero", f"the traceback should end with the error, got {last!r}")

    say("A task that retries, after 0.2 seconds each time.")
    value = tasks.flaky.delay(2).get(timeout=RESULT_S)
    print(f"    >>> flaky.delay(2).get()\n    {value!r}")
    expect(value == "worked at attempt 3", f"it should work at the third attempt, it said {value!r}")

    say("A task for later.")
    asked = time.time()
    waited = tasks.tick.apply_async(countdown=1).get(timeout=RESULT_S) - asked
    print(f"    >>> tick.apply_async(countdown=1)\n    (it ran {waited:.2f} s later)")
    expect(waited >= 0.9, f"it should have run after a second, it ran after {waited:.2f} s")


def limit_ticks(home: Path, tasks: Any) -> None:
    say(f"A rate limit for a task, while the worker runs: {TICKS} ticks without it, with it, and without it again.")
    free = tick(tasks)
    celery_rs(home, "control", "rate_limit", "tasks.tick", "60/m")
    limited = tick(tasks)
    celery_rs(home, "control", "rate_limit", "tasks.tick", "0")
    lifted = tick(tasks)
    expect(sum(limited) > TICKS - 1.5, "ticks at 60/m should start a second apart")
    expect(max(sum(free), sum(lifted)) < TICKS - 1.5, "ticks without a limit should start at once")


def tick(tasks: Any) -> list[float]:
    """The seconds between the starts of some ticks sent at once."""
    results = [tasks.tick.delay() for _ in range(TICKS)]
    starts = sorted(result.get(timeout=RESULT_S) for result in results)
    gaps = [after - before for before, after in pairwise(starts)]
    print(f"    >>> results = [tick.delay() for _ in range({TICKS})]")
    print(f"    (started {', '.join(f'{gap:.2f}' for gap in gaps)} s apart)")
    return gaps


def stop_while_napping(home: Path, tasks: Any, process: subprocess.Popen[bytes]) -> None:
    say("What runs, and a warm shutdown, which waits for it.")
    print(f"    >>> result = nap.delay({NAP_S})")
    napping = tasks.nap.delay(NAP_S)
    deadline = time.monotonic() + RESULT_S
    while napping.state != "STARTED":
        expect(time.monotonic() < deadline, f"the nap should have started, it is {napping.state}")
        time.sleep(0.02)
    celery_rs(home, "inspect", "--timeout", "0.5", "active")
    print(f"    $ kill -TERM {process.pid}")
    process.send_signal(signal.SIGTERM)
    code = process.wait(STOP_S)
    expect(code == 0, f"the worker should exit with 0, it exited with {code}")
    value = napping.get(timeout=RESULT_S)
    print(f"    >>> result.get()\n    {value!r}")
    expect(value == "slept well", f"the nap should have ended well, it said {value!r}")


@contextlib.contextmanager
def worker(home: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A worker that runs inside the block and is gone after it."""
    command = ["worker", "--concurrency", "2", "--loglevel", "INFO"]
    print(f"    $ celery-rs -A tasks {' '.join(command)}")
    with (home / LOG).open("wb") as log:
        process = subprocess.Popen(invocation(*command), cwd=home, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_until_ready(home, process)
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_until_ready(home: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S
    ping = invocation("--quiet", "inspect", "--timeout", "0.5", "ping")
    while subprocess.run(ping, cwd=home, capture_output=True, check=False).returncode != 0:
        expect(process.poll() is None, f"the worker stopped with exit code {process.returncode}")
        expect(time.monotonic() < deadline, f"the worker did not answer within {START_S:.0f} s")


def celery_rs(home: Path, *arguments: str) -> None:
    """Run a command as a user would, and show both the command and what it says."""
    print(f"    $ celery-rs -A tasks {' '.join(arguments)}")
    run = subprocess.run(invocation(*arguments), cwd=home, capture_output=True, text=True, timeout=30, check=False)
    print("".join(f"    {line}\n" for line in (run.stdout + run.stderr).splitlines()), end="")
    expect(run.returncode == 0, f"the command should exit with 0, it exited with {run.returncode}")


def invocation(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "celery_rs", "-A", "tasks", *arguments]


def expect(truth: bool, otherwise: str) -> None:
    if not truth:
        raise DemoError(otherwise)


def say(text: str) -> None:
    print(f"\n{text}\n", flush=True)


if __name__ == "__main__":
    sys.exit(main())
