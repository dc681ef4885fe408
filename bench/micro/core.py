"""Each function of the Rust core beside the plain Python that it replaces: does the call pay for itself?

    python -m bench.micro.core [--repeat 7]

The Python side is the oracle of the tests, or what one would write instead where that is less. Prints
microseconds a call (the best of the repeats, contestants in turn) and the ratio.
"""

import argparse
import json
import mmap
import struct
import time
from collections.abc import Callable
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path

from celery_rs import _core
from celery_rs.serializers import JSON
from celery_rs.serializers.tags import TAGS
from celery_rs.wire import Message
from tests.oracles import envelope, routes

ENVELOPES = Path(__file__).parents[2] / "tests/fixtures/envelopes.json"
SIMPLE = json.loads(ENVELOPES.read_text())["task-simple"].encode()
BODY = b'[[2, 2], {}, {"callbacks": null, "errbacks": null, "chain": null, "chord": null}]'
MESSAGE = Message(
    "proj.tasks.add", "46a5672a-4062-4db6-b837-4896819bd1a9", BODY, "f5e06edd-a5c7-4db6-bef5-a8bdade92634"
)
ROUTE = ("", "celery")
CALL: object = ((2, 2), {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None})
ROWS = [{"id": i, "name": f"user {i}", "score": i * 1.37, "tags": ["a", "b"], "ok": True} for i in range(50)]
PYTHON_JSON = json.JSONEncoder(default=TAGS.replace).encode
BATCH = 100

Step = Callable[[], object]


def look_at(opened: _core.Envelope | _core.DecodeError) -> None:
    """What a worker asks of every envelope."""
    if isinstance(opened, _core.Envelope):
        _ = (opened.id, opened.task, opened.eta, opened.expires, opened.retries, opened.soft_limit, opened.hard_limit)
        _ = (opened.ignore_result, opened.body, opened.headers)


def open_batch() -> None:
    for opened in _core.open_envelopes([SIMPLE] * BATCH):
        look_at(opened)


def contests() -> dict[str, tuple[int, Step, Step]]:
    """Name → (calls in one go, ours, Python's)."""
    limiter = _core.RateLimiter()
    limiter.set("proj.tasks.add", "1000000/s", 0.0)
    due = {"proj.tasks.add": 0.0}
    rules = [("exact", "proj.tasks.mul"), ("glob", "proj.*.send"), ("regex", r"proj\.(tasks|jobs)\.")]
    table = _core.RouteTable(rules)
    memory = mmap.mmap(-1, _core.PoolPage.SIZE)
    page = _core.PoolPage(memory)
    words = struct.Struct("<QQd")
    outcome = bytes(200)

    def take(task: str = "proj.tasks.add", now: float = 0.0) -> float:
        if due[task] > now:
            return due[task] - now
        due[task] = now + 1e-6
        return 0.0

    def job() -> None:
        page.reset()
        page.allow(1)
        page.start(1, 0.0)
        page.push(outcome)
        page.finish(1)
        page.drain()

    def job_by_struct() -> None:
        for _ in range(6):
            words.pack_into(memory, 0, 1, 1, 0.0)

    return {
        "open an envelope": (
            1,
            lambda: look_at(_core.open_envelopes([SIMPLE])[0]),
            lambda: envelope.open_envelope(SIMPLE),
        ),
        f"open {BATCH}": (BATCH, open_batch, lambda: [envelope.open_envelope(SIMPLE) for _ in range(BATCH)]),
        "seal a message": (
            1,
            lambda: _core.seal_envelopes([MESSAGE], [ROUTE]),
            lambda: envelope.seal_envelope(MESSAGE, *ROUTE),
        ),
        f"seal {BATCH}": (
            BATCH,
            lambda: _core.seal_envelopes([MESSAGE] * BATCH, [ROUTE] * BATCH),
            lambda: [envelope.seal_envelope(MESSAGE, *ROUTE) for _ in range(BATCH)],
        ),
        "write a body as JSON": (
            1,
            lambda: JSON.dumps(CALL),
            lambda: PYTHON_JSON(CALL).encode("ascii"),
        ),
        "write 50 rows as JSON": (1, lambda: JSON.dumps(ROWS), lambda: PYTHON_JSON(ROWS).encode("ascii")),
        "parse a time": (
            1,
            lambda: _core.parse_timestamp("2026-11-22T12:56:51.774076+00:00"),
            lambda: datetime.fromisoformat("2026-11-22T12:56:51.774076+00:00").timestamp(),
        ),
        "take a token": (1, lambda: limiter.take("proj.tasks.add", 0.0), take),
        "route a name": (1, lambda: table.lookup("proj.tasks.add"), lambda: routes.lookup(rules, "proj.tasks.add")),
        "match a topic": (
            1,
            lambda: _core.topic_matches("logs.*.#", "logs.web.error"),
            lambda: fnmatchcase("logs.web.error", "logs.*"),
        ),
        "a job's page calls": (1, job, job_by_struct),
    }


def microseconds(step: Step, calls: int, seconds: float = 0.05) -> float:
    """Time of one call, over as many as fit into `seconds`."""
    count, started = 0, time.perf_counter()
    while (passed := time.perf_counter() - started) < seconds:
        step()
        count += calls
    return passed / count * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeat", type=int, default=7)
    repeat = parser.parse_args().repeat
    print(f"{'':22}{'Rust':>9}{'Python':>9}   ratio   (us a call)")
    for name, (calls, ours, python) in contests().items():
        times = [(microseconds(ours, calls), microseconds(python, calls)) for _ in range(repeat)]
        rust, plain = (min(side) for side in zip(*times, strict=True))
        print(f"{name:22}{rust:9.2f}{plain:9.2f}{plain / rust:7.1f}x")


if __name__ == "__main__":
    main()
