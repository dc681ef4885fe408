"""The task bodies, one definition for all contestants."""

import os
import time
from pathlib import Path
from typing import Any

from bench import marks

_pens: list[marks.Pen] = []
# A child must not write with a pen that it inherited; asking for the pid at every task would cost more than the mark.
os.register_at_fork(after_in_child=_pens.clear)


def _pen() -> marks.Pen:
    """This process's pen, made at its first task."""
    if not _pens:
        _pens.append(marks.Pen(Path(os.environ[marks.PLACE])))
    return _pens[0]


def define(app: Any) -> None:
    """Register the tasks with a contestant's app."""

    @app.task(name="bench.add")  # type: ignore[untyped-decorator]
    def add(x: int, y: int) -> int:
        """The no-op: a mark (half a microsecond) and a sum."""
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
