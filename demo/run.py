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
from pathlib import Path
from typing import Any

from celery_rs.errors import CeleryError

START_S = 20.0
STOP_S = 15.0
RESULT_S = 10.0

LOG = "worker.log"
CALLS = 500
TICKS = 4


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
        say("A warm shutdown: running tasks finish, the rest goes back to the queue.")
        print(f"    $ kill -TERM {process.pid}")
        process.send_signal(signal.SIGTERM)
        code = process.wait(STOP_S)
        expect(code == 0, f"the worker should exit with 0, it exited with {code}")


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
    print(f"    >>> result = divide.delay(1, 0)\n    >>> result.state, result.result\n    {failed.state, error}")
    expect(isinstance(error, ZeroDivisionError), f"expected a ZeroDivisionError, got {error!r}")

    say("A task for later.")
    asked = time.time()
    waited = tasks.tick.apply_async(countdown=1).get(timeout=RESULT_S) - asked
    print(f"    >>> tick.apply_async(countdown=1)\n    (it ran {waited:.2f} s later)")
    expect(waited >= 0.9, f"it should have run after a second, it ran after {waited:.2f} s")


def limit_ticks(home: Path, tasks: Any) -> None:
    say("A rate limit for a task, while the worker runs.")
    spread = spread_of_ticks(tasks)
    print(f"    ({TICKS} ticks without a limit ran within {spread:.2f} s)")
    celery_rs(home, "control", "rate_limit", "tasks.tick", "60/m")
    limited = spread_of_ticks(tasks)
    print(f"    ({TICKS} ticks took {limited:.2f} s: one a second)")
    expect(limited >= TICKS - 1.5, f"{TICKS} ticks at 60/m should take {TICKS - 1} s, they took {limited:.2f} s")

    say("Lift it again.")
    celery_rs(home, "control", "rate_limit", "tasks.tick", "0")
    spread = spread_of_ticks(tasks)
    print(f"    ({TICKS} ticks ran within {spread:.2f} s)")
    expect(spread < TICKS - 1.5, f"ticks without a limit should run at once, they took {spread:.2f} s")


def spread_of_ticks(tasks: Any) -> float:
    """Seconds from the first to the last of some ticks sent at once."""
    results = [tasks.tick.delay() for _ in range(TICKS)]
    times = [result.get(timeout=RESULT_S) for result in results]
    return float(max(times) - min(times))


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
