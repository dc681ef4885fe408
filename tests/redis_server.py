"""A Redis of a test's own, on a free port: one that may be stopped, killed and started again.

`own_redis` syncs every write (`appendfsync always`), so that what it has answered outlives it. Nothing that a test
does to it touches another's.
"""

import random
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from celery_rs.transports.redis import RedisOptions, Server
from tests.deadlines import DEADLINE_S
from tests.stopping import stop

DATABASES = 1000
"""So many has one that is shared by many tests."""


PORTS = range(15_000, 30_000)
"""Below those that a system gives to outgoing connections: one of them could take it before the server does."""


def free_port() -> int:
    while True:
        port = random.choice(PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class OwnRedis:
    """`url` and `port` stay the same over restarts."""

    def __init__(self, directory: Path, *options: str, port: int | None = None) -> None:
        self.port = port or free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._directory = directory
        self._options = options
        self._process: subprocess.Popen[str] | None = None
        self._server = Server.at(self.url, RedisOptions())

    def start(self, *options: str) -> None:
        """Returns when it answers."""
        command = [
            "redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes",
            "--appendfsync", "always", "--maxmemory-policy", "noeviction", *self._options, *options,
        ]  # fmt: skip
        self._process = subprocess.Popen(
            command, cwd=self._directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert self._process.stdout is not None
        said = ""
        for line in self._process.stdout:
            said += line
            if "Ready to accept connections" in line:
                return
        raise AssertionError(f"Redis did not start:\n{said}")

    def stop(self) -> None:
        """In an orderly way; harmless when it does not run."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            self._end()

    def kill(self) -> None:
        """As a crash does."""
        assert self._process is not None
        self._process.kill()
        self._end()

    def restart(self) -> None:
        self.stop()
        self.start()

    def pause(self) -> None:
        """It does not answer any more, though its port is open; `resume`, or what ends it, undoes that."""
        assert self._process is not None
        stop(self._process.pid)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _end(self) -> None:
        assert self._process is not None
        self._process.communicate(timeout=DEADLINE_S)
        self._process = None
        self._server.close()

    def call(self, *command: bytes | str | float) -> Any:
        """Ask it something, over a connection of the test's own."""
        with self._server.borrowed() as link:
            return link.call(*command)

    def close(self) -> None:
        self.stop()
        self._server.close()


@contextmanager
def redis_server(directory: Path, *options: str, port: int | None = None) -> Iterator[str]:
    """One that keeps nothing on disk: its URL but for the number of a database."""
    redis = OwnRedis(directory, "--appendonly", "no", "--databases", str(DATABASES), *options, port=port)
    redis.start()
    try:
        yield redis.url.removesuffix("/0")
    finally:
        redis.close()


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[OwnRedis]:
    """A Redis that runs, for this test alone."""
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not there: install Redis")
    directory = tmp_path / "redis"
    directory.mkdir()
    redis = OwnRedis(directory)
    redis.start()
    yield redis
    redis.close()


@pytest.fixture(scope="session")
def some_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnRedis]:
    """A Redis for the tests of one process, which use keys of their own there and leave it running."""
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not there: install Redis")
    redis = OwnRedis(tmp_path_factory.mktemp("redis"), "--appendonly", "no", "--databases", str(DATABASES))
    redis.start()
    yield redis
    redis.close()
