"""A RabbitMQ of a test's own, on free ports: one that may be stopped, killed and started again.

It takes some three seconds to start, so that tests which only need a place of their own take a virtual host instead
(tests/rabbitmq_vhosts.py), and those that break it take the same one after the other, each in a virtual host. Its
files are in a directory of its own, and its Erlang sees no other node.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tests import rabbitmq_vhosts
from tests.deadlines import DEADLINE_S
from tests.redis_server import free_port
from tests.stopping import stop

_PATH = f"/usr/lib/rabbitmq/bin:{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
"""Debian's rabbitmq-server in /usr/sbin is a wrapper that only root may use; the real one is in the library."""
_GREETING = b"AMQP\x00\x00\x09\x01"


def has_rabbitmq() -> bool:
    return all(shutil.which(program, path=_PATH) for program in ("rabbitmq-server", "rabbitmqctl", "epmd"))


class OwnRabbitMQ:
    """`url` and `port` stay the same over restarts; another `move` is another place in it."""

    def __init__(self, directory: Path, *configuration: str) -> None:
        """`configuration`: lines of rabbitmq.conf."""
        self.port = free_port()
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}/%2F"
        self._vhost = "/"
        self._moves = count(1)
        self._directory = directory
        (directory / "rabbitmq.conf").write_text("\n".join(["log.console = false", *configuration, ""]))
        self._environment = {
            "PATH": _PATH,
            "HOME": str(directory),
            "LC_ALL": "C.UTF-8",  # rabbitmqctl takes names as they are
            "ERL_EPMD_PORT": str(free_port()),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"own-{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(directory),
            "RABBITMQ_LOG_BASE": str(directory),
            "RABBITMQ_PID_FILE": str(directory / "pid"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "plugins"),
            "RABBITMQ_CONF_ENV_FILE": str(directory / "none"),
            "RABBITMQ_CONFIG_FILE": str(directory / "rabbitmq.conf"),
            # Threads that wait without spinning: tests share few cores with it.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+sbwt none +sbwtdcpu none +sbwtdio none",
        }
        self._process: subprocess.Popen[bytes] | None = None

    def move(self) -> None:
        """To a virtual host in which nobody has been; the last one is deleted. It is started if need be."""
        if not self._answers():
            self.kill()
            self.start()
        left, self._vhost = self._vhost, f"place-{next(self._moves)}"
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}/{self._vhost}"
        # Written down at once: the test may be about to kill it.
        steps = [rabbitmq_vhosts.deletion(left), rabbitmq_vhosts.creation(self._vhost), "mnesia:sync_log()."]
        self.ctl("eval", ", ".join(steps))

    def start(self) -> None:
        """Returns when it answers."""
        with (self._directory / "output").open("ab") as output:
            # Erlang's name server is in the same group of processes, and ends with it.
            self._process = subprocess.Popen(
                ["sh", "-c", "epmd & exec rabbitmq-server"], cwd=self._directory, env=self._environment,
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip
        until = time.monotonic() + DEADLINE_S
        while not self._answers():
            said = (self._directory / "output").read_text(errors="replace")[-2000:]
            assert self._process.poll() is None, f"RabbitMQ ended:\n{said}"
            assert time.monotonic() < until, f"RabbitMQ did not start:\n{said}"
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1.0) as probe:
                probe.sendall(_GREETING)
                return bool(probe.recv(1))
        except OSError:
            return False

    def stop(self) -> None:
        """In an orderly way; harmless when it does not run."""
        if self._process is not None:
            self._signal(signal.SIGCONT)
            self.ctl("stop")
            self._end()

    def kill(self) -> None:
        """As a crash does; harmless when it does not run."""
        if self._process is not None:
            self._signal(signal.SIGKILL)
            self._end()

    def restart(self) -> None:
        self.stop()
        self.start()

    def pause(self) -> None:
        """It does not answer any more, though its port is open; `resume`, or what ends it, undoes that."""
        assert self._process is not None
        stop(self._process.pid, group=True)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, number)

    def _end(self) -> None:
        assert self._process is not None
        try:
            self._process.wait(DEADLINE_S)
        finally:
            try:
                self._signal(signal.SIGKILL)  # its name server
            except ProcessLookupError:
                pass
            self._process.wait(DEADLINE_S)
            self._process = None

    def ctl(self, *command: str) -> str:
        """What rabbitmqctl says to this; it takes a second."""
        ended = subprocess.run(
            ["rabbitmqctl", "--quiet", *command], env=self._environment, cwd=self._directory,
            capture_output=True, text=True, timeout=DEADLINE_S, check=False,
        )  # fmt: skip
        assert ended.returncode == 0, f"rabbitmqctl {' '.join(command)} failed:\n{ended.stdout}{ended.stderr}"
        return ended.stdout

    def messages(self) -> dict[str, int]:
        """How many lie in each queue, whether delivered or not."""
        return rabbitmq_vhosts.counted(
            self.ctl("list_queues", "-p", self._vhost, "--no-table-headers", "name", "messages")
        )

    def close(self) -> None:
        """Nobody needs it again."""
        self.kill()


@pytest.fixture(scope="session")
def breakable_rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnRabbitMQ]:
    """For the tests of one process, one after the other."""
    if not has_rabbitmq():
        pytest.skip("rabbitmq-server is not there: install RabbitMQ")
    rabbitmq = OwnRabbitMQ(tmp_path_factory.mktemp("rabbitmq"))
    rabbitmq.start()
    yield rabbitmq
    rabbitmq.close()


@pytest.fixture
def own_rabbitmq(breakable_rabbitmq: OwnRabbitMQ) -> OwnRabbitMQ:
    """A RabbitMQ that runs, for this test alone while it lasts."""
    breakable_rabbitmq.move()
    return breakable_rabbitmq
