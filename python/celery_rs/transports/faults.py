"""Faults that tests inject into a transport, where no real broker would oblige on demand.

A transport is handed one `Faults`, which stands for what happens to one process and its connection. In
production it is the inert default.
"""

import threading
import time
from dataclasses import dataclass, field


def _set_event() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


@dataclass(slots=True)
class Faults:
    """`drop_replies`: so many replies of `receive` get lost *after* the broker has reserved the messages."""

    drop_replies: int = 0
    _running: threading.Event = field(default_factory=_set_event)

    def reply_is_lost(self) -> bool:
        """Whether this reply gets lost; counts it."""
        if self.drop_replies == 0:
            return False
        self.drop_replies -= 1
        return True

    def pause(self) -> None:
        """Every call of this process's consumers hangs until `resume`, its renewals too (SIGSTOP)."""
        self._running.clear()

    def resume(self) -> None:
        self._running.set()

    def wait_while_paused(self) -> None:
        self._running.wait()


class Clock:
    """A wall clock that stands still unless it is moved."""

    def __init__(self, now: float | None = None) -> None:
        self._now = time.time() if now is None else now

    def __call__(self) -> float:
        return self._now

    def jump(self, seconds: float) -> None:
        self._now += seconds
