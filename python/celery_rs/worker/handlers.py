"""What signals do to the worker's main process: they post to the inbox, and the loop decides.

The handlers stay until the last part has been stopped, so that a second SIGTERM does not kill a worker that writes its
last results. Two do not wait for the loop: SIGUSR1, which must tell where a stuck worker is stuck, and a repeated
SIGINT or SIGQUIT once the loop has ended.
"""

import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType

from celery_rs.worker.inbox import Inbox, Signalled

STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
_INSISTING = (signal.SIGINT, signal.SIGQUIT)
ABANDONED = 1
"""Exit code of a worker that was told to end at once."""


class Handlers:
    """What a signal does before and after the loop has ended; from then on nobody looks into the inbox any more."""

    def __init__(self) -> None:
        self._leaving = False

    @contextmanager
    def installed(self, box: Inbox, *, restarts: bool) -> Iterator[None]:
        """Inside the block signals go to `box`; SIGHUP too where it `restarts`. Elsewhere SIGHUP is left alone."""

        def post(number: int, frame: FrameType | None) -> None:
            if not self._leaving:
                box.post(Signalled(number))
            elif number in _INSISTING:
                abandon()

        numbers = (*STOPPING, signal.SIGHUP) if restarts else STOPPING
        handlers = {number: signal.signal(number, post) for number in numbers}
        handlers[signal.SIGUSR1] = signal.signal(signal.SIGUSR1, _print_stacks)
        wakeup = signal.set_wakeup_fd(box.wakeup_fd(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in handlers.items():
                signal.signal(number, handler)

    def leave(self, box: Inbox) -> None:
        """The loop has ended: hear what came too late for it, and from now on each signal at once."""
        self._leaving = True
        if any(isinstance(event, Signalled) and event.number in _INSISTING for event in box.take()):
            abandon()


def abandon() -> None:
    """End the process here and now: children and leases end with it, and other workers take what it held."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(ABANDONED)


def stacks(frames: Mapping[int, FrameType], names: Mapping[int, str]) -> str:
    """Where each thread is; `frames` and `names` are by thread id."""
    parts = []
    for ident, frame in frames.items():
        parts.append(f"{names.get(ident, f'thread {ident}')}\n{'=' * 49}\n{''.join(traceback.format_stack(frame))}")
    return "\n".join(parts)


def _print_stacks(number: int, frame: FrameType | None) -> None:
    """To standard error, whatever the log level is, and although what is printed goes to the log."""
    if sys.__stderr__ is None:
        return
    frames = dict(sys._current_frames())
    if frame is not None:
        frames[threading.get_ident()] = frame  # where the handler struck, not the handler
    names = {thread.ident: thread.name for thread in threading.enumerate() if thread.ident is not None}
    sys.__stderr__.write(f"{stacks(frames, names)}\n")
    sys.__stderr__.flush()
