"""MongoDB for the tests: the server that CELERY_RS_TEST_MONGODB names, on its usual port otherwise; and servers of a
test's own.

What the tests bring along is SecantusDB, a server of MongoDB's protocol over WiredTiger that comes as a Python package:
no mongod is to be had from package registries. Whoever has one names it.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pymongo
import pytest
from pymongo.errors import PyMongoError

from tests.deadlines import DEADLINE_S
from tests.redis_server import free_port
from tests.stopping import stop

URL = os.environ.get("CELERY_RS_TEST_MONGODB", "mongodb://127.0.0.1:27017")
PROGRAM = Path(sys.executable).with_name("secantusd-py")


@cache
def answers() -> bool:
    """Asked once: the client needs its time to say that there is nobody."""
    if URL.startswith("mongodb://127.0.0.1:") and not listens(int(URL.rpartition(":")[2].partition("/")[0])):
        return False
    client: pymongo.MongoClient[dict[str, object]] = pymongo.MongoClient(URL, serverSelectionTimeoutMS=10_000)
    try:
        client.admin.command("ping")
    except PyMongoError:
        return False
    finally:
        client.close()
    return True


def listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


class OwnMongo:
    """`url` stays the same over restarts, and so does what has been acknowledged."""

    def __init__(self, directory: Path, *options: str, standalone: bool = True) -> None:
        """Not `standalone`, it calls itself the replica set `secantus`."""
        self.port = free_port()
        self.url = f"mongodb://127.0.0.1:{self.port}/"
        self._command = [
            str(PROGRAM), "--host", "127.0.0.1", "--port", str(self.port), "--storage-path", str(directory / "mongodb"),
            "--sync-on-commit", "--log-level", "WARNING", *(["--standalone"] if standalone else []), *options,
        ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it answers."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + DEADLINE_S
        while not listens(self.port):
            assert self._process.poll() is None, "the server of MongoDB's protocol did not start"
            assert time.monotonic() < deadline, "it does not answer"

    def pause(self) -> None:
        """It does not answer any more, though its port is open; `resume`, or `kill`, undoes that."""
        assert self._process is not None
        stop(self._process.pid)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def own_mongo(directory: Path, *options: str, standalone: bool = True) -> Iterator[OwnMongo]:
    if not PROGRAM.exists():
        pytest.skip("there is no server of MongoDB's protocol; pip install secantusdb")
    server = OwnMongo(directory, *options, standalone=standalone)
    server.start()
    try:
        yield server
    finally:
        server.kill()
