"""The client process: does one job and prints what it saw as a line of JSON.

    python -m bench.inside.client delay 5000 30

Every job stops by itself after the given seconds and says how far it came.
"""

import json
import resource
import sys
import time
from typing import Any

from bench.inside.app import app

ADD, BEGAN, NAP = (app.tasks[f"bench.{name}"] for name in ("add", "began", "nap"))
_MS = 1_000_000


def delay(calls: int, limit: float) -> dict[str, Any]:
    """Call `delay()` in a row, no worker running."""
    warm_up = min(200, calls)
    for number in range(warm_up):
        ADD.delay(number, number)
    before, began = _cpu(), time.perf_counter()
    done = 0
    while done < calls:
        ADD.delay(done, done)
        done += 1
        if not done % 64 and time.perf_counter() - began > limit:
            break
    seconds = time.perf_counter() - began
    return {"calls": done, "warm_up": warm_up, "seconds": seconds, "cpu": _cpu() - before}


def enqueue(calls: int, limit: float, stay: bool = False) -> dict[str, Any]:
    """Leave calls in the queue, and the id of the last one.

    Whoever is to stay says so early, and reads the last result once stdin ends: it may be sent to it alone.
    """
    until = time.monotonic() + limit
    done, last = 0, None
    while done < calls and time.monotonic() < until:
        last = ADD.delay(done, done)
        done += 1
    seen = {"calls": done, "last": last and last.id}
    if stay and last is not None:
        print(json.dumps(seen), flush=True)
        sys.stdin.read()
        seen["value"] = last.get(timeout=3 * limit)
    return seen


def naps(calls: int, limit: float, short: float, long: float) -> dict[str, Any]:
    """Leave one long call among many short ones: a tenth before it, so that a worker has got used to short ones."""
    until = time.monotonic() + limit
    before = calls // 10
    done = 0
    while done < calls and time.monotonic() < until:
        if done == before:
            NAP.delay(long)
        NAP.delay(short)
        done += 1
    return {"calls": done + 1}


def result(task_id: str, limit: float) -> dict[str, Any]:
    """Read a stored result."""
    return {"value": app.AsyncResult(task_id).get(timeout=limit)}


def round_trips(calls: int, limit: float, pause: float) -> dict[str, Any]:
    """Call and wait for the answer, one after the other, a pause between two calls."""
    for _ in range(3):
        BEGAN.delay().get(timeout=limit)
    until = time.monotonic() + limit
    answered: list[float] = []
    begun: list[float] = []
    while len(answered) < calls and time.monotonic() < until:
        called = time.monotonic_ns()
        began = BEGAN.delay().get(timeout=limit)
        answered.append((time.monotonic_ns() - called) / _MS)
        begun.append((began - called) / _MS)
        if pause:
            time.sleep(pause)
    return {"answered": answered, "begun": begun}


def collect(calls: int, limit: float) -> dict[str, Any]:
    """Call `delay()` in a row, then wait for the results in the order of the calls."""
    for number in range(min(100, calls)):
        ADD.delay(number, number).get(timeout=limit)
    before, began = _cpu(), time.perf_counter()
    half_time, until = began + limit / 2, began + limit
    waiting: list[Any] = []
    while len(waiting) < calls and time.perf_counter() < half_time:
        waiting.append(ADD.delay(len(waiting), len(waiting)))
    collected = 0
    for number, each in enumerate(waiting):
        if time.perf_counter() > until:
            break
        value = each.get(timeout=limit)
        if value != 2 * number:
            raise SystemExit(f"expected {2 * number} of {number} + {number}, got {value!r}")
        collected += 1
    return {"collected": collected, "seconds": time.perf_counter() - began, "cpu": _cpu() - before}


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main(job: str, *given: str) -> None:
    """Do the job with the arguments given."""
    match job, given:
        case "delay", [calls, limit]:
            seen = delay(int(calls), float(limit))
        case "enqueue", [calls, limit]:
            seen = enqueue(int(calls), float(limit))
        case "enqueue_and_stay", [calls, limit]:
            seen = enqueue(int(calls), float(limit), stay=True)
        case "naps", [calls, limit, short, long]:
            seen = naps(int(calls), float(limit), float(short), float(long))
        case "result", [task_id, limit]:
            seen = result(task_id, float(limit))
        case "collect", [calls, limit]:
            seen = collect(int(calls), float(limit))
        case "round_trips", [calls, limit, pause]:
            seen = round_trips(int(calls), float(limit), float(pause))
        case _:
            raise SystemExit(f"expected a job and its arguments, got {[job, *given]!r}")
    print(json.dumps(seen))


if __name__ == "__main__":
    main(*sys.argv[1:])
