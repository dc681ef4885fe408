"""A memcached of a test's own, on a free port: one that may be stopped, killed and started again, empty each time."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from tests.deadlines import DEADLINE_S
from tests.redis_server import free_port

PORT = 11211
"""Of the one that `make test` starts."""


def answers(port: int = PORT) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


class OwnMemcached:
    """`server` stays the same over restarts."""

    def __init__(self, *options: str) -> None:
        self.port = free_port()
        self.server = f"127.0.0.1:{self.port}"
        self.url = f"cache+memcached://{self.server}/"
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it answers."""
        self._process = subprocess.Popen(
            ["memcached", "-l", "127.0.0.1", "-p", str(self.port), "-U", "0", "-u", "nobody", *self._options]
        )
        deadline = time.monotonic() + DEADLINE_S
        while not answers(self.port):
            assert self._process.poll() is None, "memcached did not start"
            assert time.monotonic() < deadline, "memcached does not answer"

    def kill(self) -> None:
        """All that it held is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def own_memcached(*options: str) -> Iterator[OwnMemcached]:
    if shutil.which("memcached") is None:
        pytest.skip("there is no memcached")
    server = OwnMemcached(*options)
    server.start()
    try:
        yield server
    finally:
        server.kill()
