"""Brokers of one run's own: started in its directory on ports that are free, killed with it."""

import os
import random
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from bench.contestants.base import ContestantError
from bench.processes import Program, Server

_REDIS, _RABBITMQ = "redis.port", "rabbitmq.port"
_PATH = f"/usr/lib/rabbitmq/bin:{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
"""Debian's rabbitmq-server in /usr/sbin is a wrapper that only root may use; the real one is in the library."""


class Together:
    """Several servers as one."""

    def __init__(self, *servers: Server) -> None:
        self._servers = servers

    def cpu(self) -> float:
        """What all of them used."""
        return sum(server.cpu() for server in self._servers)

    def stop(self) -> None:
        """End all."""
        for server in self._servers:
            server.stop()


def redis(place: Path) -> Program:
    """A Redis that keeps nothing on disk; returns when it answers."""
    port = _free_port()
    (place / _REDIS).write_text(str(port))
    command = [_find("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    server = Program(command, environment={}, place=place, log=place / "redis.log")
    return _answering(server, "redis-server", port, b"PING\r\n", 10.0)


def redis_url(place: Path) -> str:
    """Where the run's Redis is."""
    return f"redis://127.0.0.1:{(place / _REDIS).read_text()}/0"


def redis_version() -> Mapping[str, str]:
    """As `redis-server` says it."""
    said = subprocess.run([_find("redis-server"), "--version"], capture_output=True, text=True, check=False).stdout
    return {"redis-server": next((word[2:] for word in said.split() if word.startswith("v=")), said)}


def rabbitmq(place: Path) -> Program:
    """A RabbitMQ with its files in `place` and its defaults for all else; returns when it answers.

    It has an epmd of its own, in the same session, so that it meets no other node and both end together.
    """
    home = place / "rabbitmq"
    home.mkdir()
    port = _free_port()
    (place / _RABBITMQ).write_text(str(port))
    environment = {
        "PATH": _PATH,
        "HOME": str(home),
        "ERL_EPMD_PORT": str(_free_port()),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODENAME": f"bench-{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(_free_port()),
        "RABBITMQ_MNESIA_BASE": str(home),
        "RABBITMQ_LOG_BASE": str(home),
        "RABBITMQ_PID_FILE": str(home / "pid"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "plugins"),
        "RABBITMQ_CONF_ENV_FILE": str(home / "none"),
        "RABBITMQ_CONFIG_FILE": str(home / "none"),
    }
    command = ["sh", "-c", f'epmd & exec "{_find("rabbitmq-server")}"']
    server = Program(command, environment=environment, place=place, log=place / "rabbitmq.log")
    return _answering(server, "rabbitmq-server", port, b"AMQP\0\0\x09\x01", 60.0)


def has_rabbitmq() -> bool:
    """Is it installed?"""
    return shutil.which("rabbitmq-server", path=_PATH) is not None


def rabbitmq_url(place: Path, scheme: str = "amqp") -> str:
    """Where the run's RabbitMQ is."""
    return f"{scheme}://guest:guest@127.0.0.1:{(place / _RABBITMQ).read_text()}//"


def rabbitmq_version() -> Mapping[str, str]:
    """As its files are named: to ask `rabbitmqctl` takes a name server and a free port of its few."""
    files = Path(_find("rabbitmq-server")).resolve().parents[1].glob("plugins/rabbit-*")
    return {"rabbitmq-server": next((path.name.removeprefix("rabbit-") for path in files), "of unknown version")}


def _free_port() -> int:
    """Below those that a system gives to outgoing connections: one of them could take it before the server does."""
    while True:
        port = random.randrange(15_000, 30_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _find(program: str) -> str:
    path = shutil.which(program, path=_PATH)
    if path is None:
        raise ContestantError(f"{program} is not there: install it")
    return path


def _answering(server: Program, name: str, port: int, greeting: bytes, patience: float) -> Program:
    """The server once it has answered a greeting; stopped, and ContestantError, if it does not."""
    until = time.monotonic() + patience
    while time.monotonic() < until and server.is_running():
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0) as asking:
            asking.sendall(greeting)
            if asking.recv(1):
                return server
        time.sleep(0.01)
    server.stop()
    raise ContestantError(f"{name} did not start within {patience:g} s: {server.last_words()}")
