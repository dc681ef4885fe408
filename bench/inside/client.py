"""The client process: does one job and prints what it saw as a line of JSON.

    python -m bench.inside.client delay '{"calls": 5000, "limit": 30}'

Every job stops by itself after `limit` seconds and says how far it came. What a contestant's app offers beyond Celery's
ways (`publish_many`, `send_many`, `get_many`, `later`) is used where it is there.
"""

import json
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from bench.inside.app import app

_MS = 1_000_000
_BATCH = 1000
"""Calls that go out at once: few enough to look at the clock in between."""
_PATIENCE = 30.0
"""Seconds to wait for a single result, however short a stretch of work is."""
_STRIDE = 7919
"""A prime: steps of it visit every number below any other number that it does not divide, as if shuffled."""


class Call(NamedTuple):
    """One call of a task."""

    task: Any
    args: tuple[Any, ...]
    queue: str | None = None
    wait: float | None = None
    """Seconds until it is to run."""


def delay(calls: int, limit: float) -> dict[str, Any]:
    """Call `delay()` in a row, no worker running; each call's microseconds."""
    add = _task("add")
    warm_up = min(200, calls)
    for number in range(warm_up):
        add.delay(number, number)
    spans: list[int] = []
    before, began = _cpu(), time.perf_counter_ns()
    until, last = began + limit * 1e9, began
    while len(spans) < calls and last < until:
        add.delay(len(spans), len(spans))
        now = time.perf_counter_ns()
        spans.append(now - last)
        last = now
    cpu = _cpu() - before
    return {
        "calls": len(spans),
        "warm_up": warm_up,
        "seconds": (last - began) / 1e9,
        "cpu": cpu,
        "each": [span / 1e3 for span in spans],
    }


def bulk(calls: int, limit: float) -> dict[str, Any]:
    """Send the same calls in batches, the contestant's best way, no worker running."""
    add = _task("add")
    warm_up = min(200, calls)
    send_many([Call(add, (at, at)) for at in range(warm_up)])
    before, began = _cpu(), time.perf_counter()
    done = _send(lambda at: Call(add, (at, at)), calls, limit)["calls"]
    return {"calls": done, "warm_up": warm_up, "seconds": time.perf_counter() - began, "cpu": _cpu() - before}


def enqueue(
    calls: int, limit: float, task: str = "add", args: Sequence[Any] | None = None, stay: bool = False
) -> dict[str, Any]:
    """Leave calls in the queue, and the id of the last one. Without `args` they are the call's number, twice.

    Whoever is to stay says so early, and reads the last result once stdin ends: it may be sent to it alone.
    """
    called = _task(task)
    seen = _send(lambda at: Call(called, (at, at) if args is None else tuple(args)), calls, limit)
    last = seen.pop("last")
    seen["id"] = last and last.id
    if stay and last is not None:
        print(json.dumps(seen), flush=True)
        sys.stdin.read()
        seen["value"] = last.get(timeout=_PATIENCE)
    return seen


def spread(calls: int, limit: float, names: int = 0, queues: Sequence[str] = ()) -> dict[str, Any]:
    """Leave no-op calls in the queues in turn, under so many names in turn; one queue and name unless told."""
    tasks = [_task(f"add.{number}") for number in range(names)] or [_task("add")]
    places: Sequence[str | None] = queues or [None]
    seen = _send(
        lambda at: Call(tasks[at % len(tasks)], (at, at), places[at // len(tasks) % len(places)]), calls, limit
    )
    return {"calls": seen["calls"]}


def naps(calls: int, limit: float, short: float, long: float) -> dict[str, Any]:
    """Leave one long call among many short ones: a tenth before it, so that a worker has got used to short ones."""
    nap = _task("nap")
    seen = _send(lambda at: Call(nap, (long if at == calls // 10 else short,)), calls + 1, limit)
    return {"calls": seen["calls"]}


def hold(calls: int, limit: float, seconds: float) -> dict[str, Any]:
    """Leave calls for later."""
    add = _task("add")
    return {"calls": _send(lambda at: Call(add, (at, at), wait=seconds), calls, limit)["calls"]}


def storm(calls: int, limit: float, spread: float) -> dict[str, Any]:
    """Leave calls that become due, in no order, within `spread` seconds from the moment `opens` on.

    It opens when the time for sending is over, however soon all were sent: everybody's are held as long.
    """
    due = _task("due")
    opens = time.monotonic() + limit + 0.5

    def call(at: int) -> Call:
        moment = opens + spread * (at * _STRIDE % calls) / calls
        return Call(due, (int(moment * 1e9),), wait=moment - time.monotonic())

    return {"calls": _send(call, calls, limit)["calls"], "opens": opens}


def result(task_id: str, limit: float) -> dict[str, Any]:
    """Read a stored result."""
    return {"value": app.AsyncResult(task_id).get(timeout=limit)}


def round_trips(calls: int, limit: float, pause: float) -> dict[str, Any]:
    """Call and wait for the answer, one after the other, a pause between two calls."""
    task = _task("began")
    for _ in range(3):
        task.delay().get(timeout=_PATIENCE)
    until = time.monotonic() + limit
    answered: list[float] = []
    begun: list[float] = []
    before = _cpu()
    while len(answered) < calls and time.monotonic() < until:
        called = time.monotonic_ns()
        began = task.delay().get(timeout=_PATIENCE)
        answered.append((time.monotonic_ns() - called) / _MS)
        begun.append((began - called) / _MS)
        if pause:
            time.sleep(pause)
    return {"answered": answered, "begun": begun, "cpu": _cpu() - before}


def collect(calls: int, limit: float, size: int = 0) -> dict[str, Any]:
    """Call `delay()` in a row, then wait for the results in the order of the calls.

    The calls are sums, or the echo of so many characters. Half of the time is for sending.
    """
    task = _task("echo" if size else "add")

    def given(number: int) -> tuple[Any, ...]:
        return (str(number).rjust(size, "."),) if size else (number, number)

    def expected(number: int) -> Any:
        return given(number)[0] if size else 2 * number

    warm = time.perf_counter() + min(1.0, limit)
    for number in range(min(100, calls)):
        if time.perf_counter() > warm:
            break
        task.delay(*given(number)).get(timeout=_PATIENCE)
    before, began = _cpu(), time.perf_counter()
    half_time, until = began + limit / 2, began + limit
    waiting: list[Any] = []
    while len(waiting) < calls and time.perf_counter() < half_time:
        waiting.append(task.delay(*given(len(waiting))))
    collected = 0
    while collected < len(waiting) and time.perf_counter() < until:
        for value in get_many(waiting[collected : collected + _BATCH], until):
            if value != expected(collected):
                raise SystemExit(f"expected {expected(collected)!r} from call {collected}, got {value!r}")
            collected += 1
    return {"collected": collected, "seconds": time.perf_counter() - began, "cpu": _cpu() - before}


JOBS: dict[str, Callable[..., dict[str, Any]]] = {
    job.__name__: job for job in (delay, bulk, enqueue, spread, naps, hold, storm, result, round_trips, collect)
}


def send_many(calls: Sequence[Call]) -> Sequence[Any]:
    """Send them the contestant's best way; their results."""
    if hasattr(app, "publish_many"):
        return app.publish_many([_as_tuple(call) for call in calls])  # type: ignore[no-any-return]
    first = calls[0]
    if hasattr(app, "send_many") and all(call == Call(first.task, call.args) for call in calls):
        return app.send_many(first.task, [call.args for call in calls])  # type: ignore[no-any-return]
    return [_send_one(call) for call in calls]


def _send_one(call: Call) -> Any:
    if call.wait is not None and hasattr(call.task, "later"):
        return call.task.later(call.wait, *call.args)
    if call.wait is None and call.queue is None:
        return call.task.delay(*call.args)
    return call.task.apply_async(call.args, **_options(call))


def _as_tuple(call: Call) -> tuple[Any, ...]:
    if call.queue is None and call.wait is None:
        return call.task, call.args
    return call.task, call.args, {}, _options(call)


def _options(call: Call) -> dict[str, Any]:
    """Those of Celery's calls."""
    options: dict[str, Any] = {} if call.queue is None else {"queue": call.queue}
    if call.wait is not None:
        options["eta"] = datetime.now(UTC) + timedelta(seconds=call.wait)
    return options


def get_many(results: Sequence[Any], until: float) -> Iterator[Any]:
    """Their values in order, as far as they come before `until` on the performance counter."""
    if hasattr(app, "get_many"):
        yield from app.get_many(results, max(0.0, until - time.perf_counter()))
        return
    for each in results:
        left = until - time.perf_counter()
        if left <= 0:
            return
        try:
            value = each.get(timeout=left)
        except Exception:  # everybody's own, when the time is over
            if time.perf_counter() < until:
                raise
            return
        yield value


def _send(call: Callable[[int], Call], calls: int, limit: float) -> dict[str, Any]:
    """Send that many in batches: how many were, and the last one's result."""
    until = time.monotonic() + limit
    done, last = 0, None
    while done < calls and time.monotonic() < until:
        batch = [call(number) for number in range(done, min(calls, done + _BATCH))]
        try:
            last = send_many(batch)[-1]
            done += len(batch)
        except Exception as error:  # everybody's own
            taken = getattr(error, "published", None)
            if taken is None or not done:
                raise
            done += len(taken)  # the broker is busy, and the rest goes again
    return {"calls": done, "last": last}


def _task(name: str) -> Any:
    return app.tasks[f"bench.{name}"]


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    _, job, given = sys.argv
    print(json.dumps(JOBS[job](**json.loads(given))))
