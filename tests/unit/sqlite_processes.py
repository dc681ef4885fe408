"""Other processes for the tests of the embedded broker: they run a script and can be killed or stopped."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from tests.deadlines import DEADLINE_S

_PRELUDE = """
import os, signal, sys, time
from celery_rs.backends import open_backend
from celery_rs.transports import Completion, Outgoing, Route, open_transport
from celery_rs.wire import Exchange
from tests.messages import message
url = sys.argv[1]
def call(id, queue="q"):
    return Outgoing(message(id=id), Route("", queue))
def say(*words):
    print(*words, flush=True)
def stay():
    signal.pause()
"""


class Other:
    """A process that says something when it has done what its script tells."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.pid = process.pid
        self._process = process

    def hears(self) -> list[str]:
        """The next line it says, as words."""
        return _pipe(self._process.stdout).readline().split()

    def tell(self, words: str = "") -> None:
        _pipe(self._process.stdin).write(words + "\n")
        _pipe(self._process.stdin).flush()

    def stop(self) -> None:
        """Freeze it; returns once the kernel has."""
        os.kill(self.pid, signal.SIGSTOP)
        os.waitpid(self.pid, os.WUNTRACED)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def ends(self) -> int:
        return self._process.wait(timeout=DEADLINE_S)


@contextmanager
def process(url: str, script: str) -> Iterator[Other]:
    """Run `script` with a few names at hand: url, call, say, stay, and the package's."""
    with subprocess.Popen(
        [sys.executable, "-c", _PRELUDE + script, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as started:
        try:
            yield Other(started)
        finally:
            started.kill()


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe
