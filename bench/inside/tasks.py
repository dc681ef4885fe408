"""The task bodies, one definition for all contestants."""

import os
import threading
import time
from pathlib import Path
from typing import Any

from bench import marks

NAMES = "BENCH_NAMES"
"""The environment variable that says under how many names the no-op is registered besides its own."""
RATE_LIMIT = "BENCH_RATE_LIMIT"
"""The environment variable that holds the limited task's rate limit; without it there is no such task."""


class _Own(threading.local):
    """This thread's pen, made at its first task: contestants run tasks in processes, threads or both."""

    def __init__(self) -> None:
        self.pen = marks.Pen(Path(os.environ[marks.PLACE]))


_own: list[_Own] = []
# A child must not write with a pen that it inherited; asking for the pid at every task would cost more than the mark.
os.register_at_fork(after_in_child=_own.clear)


def _pen() -> marks.Pen:
    if not _own:
        _own.append(_Own())
    return _own[0].pen


def slept(began: int) -> None:
    """Write down a nap that ends now."""
    pen = _pen()
    pen.span(began, time.monotonic_ns())
    pen.tick(began)


def define(app: Any) -> None:
    """Register the tasks with a contestant's app."""

    def add(x: int, y: int) -> int:
        """The no-op: a mark (half a microsecond) and a sum."""
        _pen().tick()
        return x + y

    app.task(name="bench.add")(add)
    for number in range(int(os.environ.get(NAMES, "0"))):
        app.task(name=f"bench.add.{number}")(add)

    @app.task(name="bench.began")  # type: ignore[untyped-decorator]
    def began() -> int:
        """When the body began, on the clock that all processes share."""
        return time.monotonic_ns()

    @app.task(name="bench.nap")  # type: ignore[untyped-decorator]
    def nap(seconds: float) -> None:
        """Sleep, and write down from when to when."""
        began = time.monotonic_ns()
        time.sleep(seconds)
        slept(began)

    @app.task(name="bench.echo")  # type: ignore[untyped-decorator]
    def echo(payload: str) -> str:
        """Give back what came."""
        _pen().tick()
        return payload

    @app.task(name="bench.burn")  # type: ignore[untyped-decorator]
    def burn(seconds: float) -> None:
        """Keep a core busy for so many seconds of this thread's CPU time."""
        began = time.monotonic_ns()
        until = time.thread_time() + seconds
        while time.thread_time() < until:
            pass
        _pen().tick(began)

    @app.task(name="bench.due")  # type: ignore[untyped-decorator]
    def due(at: int) -> None:
        """Write down when it was due, in nanoseconds of the monotonic clock, and when it began."""
        pen = _pen()
        pen.span(at, time.monotonic_ns())
        pen.tick()

    if RATE_LIMIT in os.environ:

        @app.task(name="bench.limited", rate_limit=os.environ[RATE_LIMIT])  # type: ignore[untyped-decorator]
        def limited() -> None:
            """Write down when it began."""
            now = time.monotonic_ns()
            pen = _pen()
            pen.span(now, now)
            pen.tick()
