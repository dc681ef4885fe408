"""A worker as a service: its files, its user, the background, and systemd."""

import json
import os
import pwd
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.running import RunningWorker, call, celery_rs, environment, result
from tests.deadlines import DEADLINE_S, eventually

PROJECT = """
import os
import sys

from celery_rs import Celery

app = Celery("proj", broker="sqlite:///tasks.sqlite3", backend="sqlite:///tasks.sqlite3")


@app.task
def about():
    umask = os.umask(0)
    os.umask(umask)
    return [os.getuid(), os.getgid(), umask, os.getcwd(), sys.executable, os.environ.get("MARK")]
"""
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "proj.py").write_text(PROJECT)
    yield tmp_path
    for pidfile in tmp_path.rglob("*.pid"):
        kill(int(pidfile.read_text()))


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


Detached = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def detached(project: Path) -> Detached:
    """Start a worker in the background, with its pid in `w.pid`."""

    def start(*options: str, **more: str) -> subprocess.CompletedProcess[str]:
        words = ("worker", "-n", "w1@test", "-c", "1", "--pidfile", "w.pid", "-D", *options)
        return celery_rs(project, *words, env=more)

    return start


def about(project: Path) -> list[object]:
    values: list[object] = json.loads(
        result(project, call(project, "proj.about")).replace("'", '"').replace("None", "null")
    )
    return values


def settings(project: Path, **values: object) -> None:
    (project / "proj.py").write_text(f"{PROJECT}\napp.conf.update({values!r})\n")


# the background


def test_a_detached_worker_is_ready_when_the_command_returns(project: Path, detached: Detached) -> None:
    started = detached("-l", "info", "-f", "w.log")
    pid = int((project / "w.pid").read_text())

    assert started.returncode == 0
    assert started.stdout == f"w1@test is running in the background (pid {pid})\n"
    assert "w1@test ready." in (project / "w.log").read_text()
    assert is_alive(pid)


def test_a_detached_worker_belongs_to_nobody(project: Path, detached: Detached) -> None:
    detached("-f", "w.log")
    pid = int((project / "w.pid").read_text())

    assert os.getsid(pid) not in (os.getsid(0), pid)
    for descriptor in (0, 1, 2):
        assert os.readlink(f"/proc/{pid}/fd/{descriptor}") == os.devnull


def test_a_detached_worker_works_and_stops(project: Path, detached: Detached) -> None:
    before = os.umask(0o002)
    try:
        detached("-f", "w.log")
    finally:
        os.umask(before)
    pid = int((project / "w.pid").read_text())

    values = about(project)
    kill(pid, signal.SIGTERM)

    assert values[2:4] == [0o022, str(project)]
    eventually(lambda: not is_alive(pid))
    assert not (project / "w.pid").exists()


def test_a_detached_worker_without_a_log_says_so(detached: Detached) -> None:
    assert "it has no --logfile, so what it logs is lost" in detached().stdout


def test_a_detached_worker_keeps_to_the_directory_it_was_given(project: Path) -> None:
    (project / "sub").mkdir()
    (project / "proj.py").rename(project / "sub" / "proj.py")
    words = ("worker", "-n", "w1@test", "-c", "1", "-D", "--pidfile", "w.pid", "-f", "w.log")

    started = subprocess.run(
        [sys.executable, "-m", "celery_rs", "--workdir", "sub", "-A", "proj", *words],
        cwd=project,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )

    assert started.returncode == 0, started.stderr
    assert (project / "sub" / "w.pid").exists()


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("-c", "many"), 2, "expected a number or 'auto', got 'many'"),
        (("-I", "nowhere"), 2, "importing the task module 'nowhere' failed"),
        (("-f", "no/such/log"), 73, "--logfile no/such/log cannot be written: No such file or directory"),
        (("-X", "celery"), 2, "expected a queue to consume from, got none"),
    ],
)
def test_what_keeps_a_detached_worker_from_starting_is_seen(
    project: Path, detached: Detached, options: tuple[str, ...], code: int, said: str
) -> None:
    failed = detached(*options)

    assert failed.returncode == code
    assert said in failed.stderr
    assert not (project / "w.pid").exists()


def test_nobody_waits_for_a_detached_worker_without_a_broker(project: Path, detached: Detached) -> None:
    blocked = project / "tasks.sqlite3.d"
    blocked.touch()  # something lies where the broker keeps its locks

    started = detached("-l", "info", "-f", "w.log")

    pid = int((project / "w.pid").read_text())
    assert started.returncode == 0
    assert f"w1@test is in the background (pid {pid}), and tries again to reach its broker: " in started.stderr
    blocked.unlink()
    eventually(lambda: "w1@test ready." in (project / "w.log").read_text())


def test_a_detached_worker_that_dies_without_a_word_is_noticed(project: Path, detached: Detached) -> None:
    (project / "proj.py").write_text("import os; os._exit(0)")

    failed = detached()

    assert failed.returncode == 1
    assert failed.stderr == (
        "Error: the process in the background ended before it was ready; start it without --detach to see why\n"
    )


def test_c_fakefork_keeps_it_in_the_foreground(project: Path) -> None:
    worker = RunningWorker(project, "-D", env={"C_FAKEFORK": "1"})

    assert worker.end(signal.SIGTERM) == 0
    assert "C_FAKEFORK is set: --detach leaves the process in the foreground\n" in worker.lines


def test_a_detached_worker_that_starts_anew_stays_where_it_is(project: Path, detached: Detached) -> None:
    detached("-l", "info", "-f", "w.log")
    pid = int((project / "w.pid").read_text())

    os.kill(pid, signal.SIGHUP)

    eventually(lambda: (project / "w.log").read_text().count("w1@test ready.") == 2)
    assert int((project / "w.pid").read_text()) == pid


# files


@pytest.mark.parametrize("option", ["--pidfile", "--logfile", "--statedb"])
@pytest.mark.parametrize(
    ("path", "why"),
    [("no/such/file", "No such file or directory"), (".", ": Is a directory")],
    ids=["missing", "folder"],
)
def test_a_file_that_cannot_be_written_is_one_line(project: Path, option: str, path: str, why: str) -> None:
    failed = celery_rs(project, "worker", option, path)

    errors = [line for line in failed.stderr.splitlines() if not line.startswith("Warning: ")]
    assert failed.returncode == 73, failed.stderr
    assert len(errors) == 1
    assert errors[0].startswith(f"Error: {option} {path} cannot be ")
    assert why in errors[0]


def test_a_held_pid_file_keeps_the_worker_out(project: Path) -> None:
    (project / "w.pid").write_text(str(os.getpid()))
    try:
        refused = celery_rs(project, "worker", "--pidfile", "w.pid")
    finally:
        (project / "w.pid").unlink()

    assert refused.returncode == 73
    assert f"Pidfile (w.pid) already exists. Seems we're already running? (pid: {os.getpid()})" in refused.stderr


def test_files_may_be_settings(project: Path) -> None:
    settings(project, worker_pidfile="%n.pid", worker_logfile="%n%I.log")

    started = celery_rs(project, "worker", "-n", "w1@test", "-c", "1", "-D", "-l", "info")

    assert started.returncode == 0, started.stderr
    assert is_alive(int((project / "w1.pid").read_text()))
    assert "ready" in (project / "w1.log").read_text()
    assert (project / "w1-1.log").exists()


def test_a_setting_that_names_no_file_is_named(project: Path) -> None:
    settings(project, worker_logfile="no/such/log")

    failed = celery_rs(project, "worker")

    assert (failed.returncode, failed.stderr) == (
        73,
        "Error: worker_logfile no/such/log cannot be written: No such file or directory\n",
    )


def test_logs_are_their_owners_alone(project: Path, detached: Detached) -> None:
    detached("-f", "w%I.log")

    assert {(project / name).stat().st_mode & 0o777 for name in ("w.log", "w-1.log")} == {0o600}


# umask, user, interpreter


def test_a_umask_decides_on_everything(project: Path, detached: Detached) -> None:
    detached("--umask", "027", "-f", "w.log")

    assert about(project)[2] == 0o027
    assert (project / "w.log").stat().st_mode & 0o777 == 0o640


def test_the_umask_may_be_a_setting(project: Path, detached: Detached) -> None:
    settings(project, worker_umask="077")
    detached("-f", "w.log")

    assert about(project)[2] == 0o077


@as_root
def test_root_becomes_another_user(project: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    values = about_of(project, "--uid", "nobody", "--gid", str(nobody.pw_gid))

    assert values[:2] == [nobody.pw_uid, nobody.pw_gid]


@as_root
def test_the_user_may_be_a_setting(project: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    settings(project, worker_uid="nobody", worker_gid=nobody.pw_gid)

    assert about_of(project)[:2] == [nobody.pw_uid, nobody.pw_gid]


def about_of(project: Path, *options: str) -> list[object]:
    """What a task of a worker with these options says, though it may own nothing here."""
    worker = subprocess.Popen(
        [sys.executable, "-c", _WITHOUT_FOLDERS, *options],
        cwd=project,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    out, _ = worker.communicate(timeout=DEADLINE_S)
    values: list[object] = json.loads(out)
    return values


# The directories of a test are root's alone, so another user cannot even look for the project: nothing is imported
# from there, and nothing is stored.
_WITHOUT_FOLDERS = """
import json, os, sys
sys.path[0] = os.getcwd()
import proj
from celery_rs.cli import cli
from celery_rs.cli.worker import worker as command

def instead(app, options):
    print(json.dumps([os.getuid(), os.getgid()]))
    raise SystemExit(0)

import celery_rs.cli.worker as module
module.Worker = instead
cli(["worker", *sys.argv[1:]], obj=proj.app)
"""


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--uid", "no such user", "--uid: there is no user 'no such user'"),
        ("--uid", "4294967295", "--uid: there is no user '4294967295'"),
        ("--gid", "no such group", "--gid: there is no group 'no such group'"),
        ("--umask", "9", "--umask: expected an octal number such as 027, got '9'"),
        ("--executable", "/no/such/python", "--executable: /no/such/python cannot be run: No such file or directory"),
    ],
)
def test_what_cannot_be_taken_on_is_one_line(project: Path, option: str, value: str, said: str) -> None:
    failed = celery_rs(project, "worker", option, value)

    assert failed.returncode == 2
    assert failed.stderr.startswith(f"Error: {said}")
    assert failed.stderr.count("\n") == 1


@as_root
def test_only_root_becomes_another_user(project: Path) -> None:
    code = """
import os, celery_rs.cli, celery_rs.cli.worker
os.setuid(65534)
celery_rs.cli.cli(["-A", "proj", "worker", "--uid", "root"])
"""

    failed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment()
    )

    assert failed.returncode == 2
    assert failed.stderr == "Error: --uid root needs root, and this is user 65534; start it as root, or as that user\n"


@pytest.fixture
def python(project: Path) -> Path:
    """Another Python, which leaves a mark."""
    path = project / "python"
    path.write_text(f'#!/bin/sh\nMARK=other exec {sys.executable} "$@"\n')
    path.chmod(0o755)
    return path


def test_another_interpreter_runs_the_worker(project: Path, detached: Detached, python: Path) -> None:
    started = detached("--executable", str(python), "-f", "w.log")

    assert started.returncode == 0, started.stderr
    assert about(project)[5] == "other"


def test_the_interpreter_may_be_a_setting(project: Path, detached: Detached, python: Path) -> None:
    settings(project, worker_executable=str(python))

    assert detached("-f", "w.log").returncode == 0
    assert about(project)[5] == "other"


# settings as words, and variables


def test_words_after_the_options_are_settings(project: Path, detached: Detached) -> None:
    assert (
        detached("worker.log_format=one %(message)s", ".redirect_stdouts=false", "-f", "w.log", "-l", "info").returncode
        == 0
    )

    assert "one w1@test ready." in (project / "w.log").read_text()


def test_every_option_has_celerys_variable(project: Path) -> None:
    values = {
        "HOSTNAME": "w7@test",
        "DETACH": "1",
        "LOGLEVEL": "info",
        "LOGFILE": "%n.log",
        "PIDFILE": "%n.pid",
        "CONCURRENCY": "1",
        "QUEUES": "some,others",
        "UMASK": "027",
    }

    started = celery_rs(project, "worker", env={f"CELERY_WORKER_{name}": value for name, value in values.items()})

    assert started.returncode == 0, started.stderr
    assert is_alive(int((project / "w7.pid").read_text()))
    assert "w7@test ready." in (project / "w7.log").read_text()


# systemd


def test_systemd_is_told_when_the_worker_is_ready(project: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(project / "notify"))
        systemd.settimeout(DEADLINE_S)

        worker = RunningWorker(project, env={"NOTIFY_SOCKET": str(project / "notify")})
        told = systemd.recv(4096).decode()
        worker.end(signal.SIGTERM)

    assert told.splitlines() == ["READY=1", f"MAINPID={worker.process.pid}", "STATUS=w1@test ready"]
