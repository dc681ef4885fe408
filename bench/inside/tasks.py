"""The task bodies, one definition for all contestants."""

import os
import time
from pathlib import Path
from typing import Any

from bench import marks

_pens: dict[int, marks.Pen] = {}


def _pen() -> marks.Pen:
    """This process's pen; a child never writes with one it inherited."""
    pid = os.getpid()
    pen = _pens.get(pid)
    if pen is None:
        pen = _pens[pid] = marks.Pen(Path(os.environ[marks.PLACE]))
    return pen


def define(app: Any) -> None:
    """Register the tasks with a contestant's app."""

    @app.task(name="bench.add")  # type: ignore[untyped-decorator]
    def add(x: int, y: int) -> int:
        """The no-op: a mark (about half a microsecond) and a sum."""
        _pen().tick()
        return x + y

    @app.task(name="bench.began")  # type: ignore[untyped-decorator]
    def began() -> int:
        """When the body began, on the clock that all processes share."""
        return time.monotonic_ns()

    @app.task(name="bench.nap")  # type: ignore[untyped-decorator]
    def nap(seconds: float) -> None:
        """Sleep, and write down from when to when."""
        began = time.monotonic_ns()
        time.sleep(seconds)
        pen = _pen()
        pen.span(began, time.monotonic_ns())
        pen.tick()
