"""A PostgreSQL and a MariaDB of a test's own, on free ports: ones that may be stopped, killed and started again.

PostgreSQL refuses to be root's: for root it runs as the user `postgres`, in a directory that is that user's.
"""

import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.deadlines import DEADLINE_S
from tests.redis_server import free_port

PASSWORD = "geheim"
_SBIN = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"


class OwnDatabase:
    """`url` and `port` stay the same over restarts."""

    url: str

    def __init__(self) -> None:
        self.port = free_port()
        self.directory = Path(tempfile.mkdtemp(prefix="celery-rs-database-"))
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> Sequence[str]:
        raise NotImplementedError

    def start(self) -> None:
        """Returns when it answers. What is left of one that was killed may hold the directory for a moment."""
        until = time.monotonic() + DEADLINE_S
        while not self._answers():
            if self._process is None or self._process.poll() is not None:
                with (self.directory / "output").open("ab") as output:
                    self._process = subprocess.Popen(
                        self.command(), stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
                    )
            assert time.monotonic() < until, (self.directory / "output").read_text(errors="replace")[-2000:]
            time.sleep(0.05)  # it gives no event

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1.0):
            pass
        engine = sa.create_engine(self.url, poolclass=sa.NullPool, connect_args={"connect_timeout": 2})
        with suppress(sa.exc.SQLAlchemyError), engine.connect():
            return True
        return False

    def stop(self) -> None:
        """At once but in an orderly way; harmless when it does not run."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(self.orderly)
            self._end()

    orderly = signal.SIGTERM

    def kill(self) -> None:
        """As a crash does; harmless when it does not run."""
        if self._process is not None:
            self._process.kill()
            self._end()

    def pause(self) -> None:
        """It does not answer any more, though its port is open; `resume`, or what ends it, undoes that."""
        self._send_to_all(signal.SIGSTOP)

    def resume(self) -> None:
        self._send_to_all(signal.SIGCONT)

    def _send_to_all(self, number: int) -> None:
        assert self._process is not None
        for pid in [self._process.pid, *_children(self._process.pid)]:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _end(self) -> None:
        assert self._process is not None
        self._process.wait(DEADLINE_S)
        self._process = None

    def close(self) -> None:
        """Nobody needs it again."""
        if self._process is not None:
            self.resume()
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)


class OwnPostgreSQL(OwnDatabase):
    orderly = signal.SIGINT  # it does not wait for clients

    def __init__(self) -> None:
        super().__init__()
        self.url = f"postgresql+psycopg://tester:{PASSWORD}@127.0.0.1:{self.port}/postgres"
        if os.getuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(self.directory, user.pw_uid, user.pw_gid)
        secret = self.directory / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        made = [f"{_postgresql()}/initdb", "-U", "tester", "-A", "scram-sha-256", "--pwfile", str(secret), "-N"]
        _run([*_as_postgres(), *made, "-E", "UTF8", "--locale=C", "-D", str(self.directory / "data")])

    def command(self) -> Sequence[str]:
        options = ["-c", "fsync=off", "-c", f"unix_socket_directories={self.directory}", "-c", "max_connections=50"]
        program = [f"{_postgresql()}/postgres", "-D", str(self.directory / "data"), "-h", "127.0.0.1"]
        return [*_as_postgres(), *program, "-p", str(self.port), *options]


class OwnMariaDB(OwnDatabase):
    def __init__(self) -> None:
        super().__init__()
        self.url = f"mysql+pymysql://root@127.0.0.1:{self.port}/mysql"
        user = ["--user=root"] if os.getuid() == 0 else []
        made = ["mariadb-install-db", "--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"]
        _run([*made, *user, f"--datadir={self.directory}/data"])

    def command(self) -> Sequence[str]:
        user = ["--user=root"] if os.getuid() == 0 else []
        places = [f"--datadir={self.directory}/data", f"--socket={self.directory}/socket", f"--port={self.port}"]
        small = ["--innodb-flush-log-at-trx-commit=2", "--innodb-buffer-pool-size=32M", "--skip-log-bin"]
        program = shutil.which("mariadbd", path=_SBIN) or "mariadbd"
        return [program, "--no-defaults", *user, *places, "--bind-address=127.0.0.1", *small]


def _postgresql() -> str:
    """Where its programs are: Debian keeps them out of the way."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: float(path.split("/")[4]))
    return found[-1] if found else str(Path(shutil.which("initdb") or "").parent)


def _as_postgres() -> list[str]:
    if os.getuid() != 0:
        return []
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]


def _run(command: Sequence[str]) -> None:
    ended = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False, cwd="/")
    assert ended.returncode == 0, f"{' '.join(command)} failed:\n{ended.stdout}{ended.stderr}"


def _children(pid: int) -> list[int]:
    found = []
    for file in glob.glob("/proc/[0-9]*/stat"):
        with suppress(OSError):
            words = Path(file).read_text().rpartition(")")[2].split()
            if int(words[1]) == pid:
                found.append(int(file.split("/")[2]))
    return found


def missing(kind: str) -> str | None:
    """Why there can be none of that kind here."""
    if kind == "mariadb":
        there = shutil.which("mariadbd", path=_SBIN) and shutil.which("mariadb-install-db")
        return None if there else "mariadbd is not there: install MariaDB"
    if not (glob.glob("/usr/lib/postgresql/*/bin/initdb") or shutil.which("initdb")):
        return "initdb is not there: install PostgreSQL"
    if os.getuid() == 0:
        with suppress(KeyError):
            pwd.getpwnam("postgres")
            return None if shutil.which("setpriv") else "root cannot run a PostgreSQL without setpriv"
        return "root cannot run a PostgreSQL, and there is no user postgres"
    return None


_KINDS: dict[str, type[OwnDatabase]] = {"postgresql": OwnPostgreSQL, "mariadb": OwnMariaDB}


@pytest.fixture(params=_KINDS)
def own_database(request: pytest.FixtureRequest) -> Iterator[OwnDatabase]:
    """A database that runs, for this test alone; one kind after the other."""
    why = missing(request.param)
    if why is not None:
        pytest.skip(why)
    database = _KINDS[request.param]()
    try:
        database.start()
        yield database
    finally:
        database.close()
