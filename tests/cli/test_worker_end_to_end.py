"""The commands as a user types them: processes of their own, the embedded broker in a file."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.running import PROJECT, RunningWorker, call, celery_rs, environment, result
from tests.deadlines import DEADLINE_S


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "proj.py").write_text(PROJECT)
    return tmp_path


@pytest.fixture
def worker(project: Path) -> Iterator[RunningWorker]:
    running = RunningWorker(project, "-c", "2")
    yield running
    running.kill()


def test_a_worker_runs_what_is_called_and_stores_its_result(project: Path, worker: RunningWorker) -> None:
    task_id = call(project, "proj.add", 2, 2)

    assert result(project, task_id) == "4"
    received = worker.wait_for(f"Task proj.add[{task_id}] received")
    assert re.fullmatch(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}: INFO/MainProcess\] Task .* received\n", received)
    assert re.search(r"succeeded in [\d.e-]+s: 4$", worker.wait_for(f"Task proj.add[{task_id}] succeeded").rstrip())


def test_the_banner_says_what_will_run(project: Path, worker: RunningWorker) -> None:
    banner = worker.output

    assert re.search(r"w1@test v\d", banner)
    assert re.search(r"\.> app: +proj:0x[0-9a-f]+\n", banner)
    assert f".> transport:   sqlite:///{project / 'tasks.sqlite3'}\n" in banner
    assert f".> results:     sqlite:///{project / 'tasks.sqlite3'}\n" in banner
    assert ".> concurrency: 2 (prefork)\n" in banner
    assert ".> celery           exchange=celery(direct) key=celery\n" in banner
    assert "[tasks]\n  . proj.add\n  . proj.fail\n  . proj.until\n" in banner


def test_a_failure_reaches_the_caller_and_the_log(project: Path, worker: RunningWorker) -> None:
    task_id = call(project, "proj.fail")

    ended = celery_rs(project, "result", task_id, "--traceback", "--timeout", str(DEADLINE_S))

    assert ended.returncode == 1
    assert ended.stderr == f"Error: task {task_id} ended in FAILURE with ValueError('no')\n"
    assert 'raise ValueError("no")' in ended.stdout
    assert "ERROR/MainProcess" in worker.wait_for(f"Task proj.fail[{task_id}] raised unexpected: ValueError('no')")


def test_a_rate_limit_holds_from_now_on_and_is_lifted_again(project: Path, worker: RunningWorker) -> None:
    limited = celery_rs(project, "control", "-d", "w1@test", "rate_limit", "proj.add", "1/h")
    first, second = call(project, "proj.add", 1, 1), call(project, "proj.add", 2, 2)
    done = result(project, first)
    held = celery_rs(project, "result", second, "--timeout", "0.3")
    lifted = celery_rs(project, "control", "-d", "w1@test", "rate_limit", "proj.add", "0")

    assert limited.stdout == "w1@test: OK\n    new rate limit set successfully\n"
    assert done == "2"
    assert held.returncode == 1
    assert "no result of" in held.stderr
    assert lifted.stdout == "w1@test: OK\n    rate limit disabled successfully\n"
    assert result(project, second) == "4"


@pytest.mark.parametrize(
    ("task", "rate", "said"), [("nope", "1/s", "unknown task"), ("proj.add", "1/y", "Invalid rate")]
)
def test_a_rate_limit_that_makes_no_sense_is_refused(
    project: Path, worker: RunningWorker, task: str, rate: str, said: str
) -> None:
    refused = celery_rs(project, "control", "-d", "w1@test", "rate_limit", task, rate)

    assert refused.returncode == 1
    assert refused.stdout.startswith(f"w1@test: ERROR\n    {said}")


def test_what_runs_can_be_seen(project: Path, worker: RunningWorker, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    task_id = call(project, "proj.until", str(flag))
    worker.wait_for(f"Task proj.until[{task_id}] received")

    (active,) = until_not_empty(project)
    stats = json.loads(celery_rs(project, "inspect", "-j", "-d", "w1@test", "stats").stdout)["w1@test"]
    flag.touch()

    assert (active["id"], active["name"], active["args"]) == (task_id, "proj.until", [str(flag)])
    assert active["worker_pid"] in stats["pool"]["processes"]
    assert stats["pid"] == worker.process.pid
    assert result(project, task_id) == "seen"


def until_not_empty(project: Path) -> list[dict[str, object]]:
    """What `inspect active` shows once it shows something."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        asked = celery_rs(project, "inspect", "-j", "-d", "w1@test", "active")
        active: list[dict[str, object]] = json.loads(asked.stdout)["w1@test"]
        if active:
            return active
    raise AssertionError("nothing became active")


def test_status_counts_the_worker(project: Path, worker: RunningWorker) -> None:
    assert celery_rs(project, "status", "-d", "w1@test").stdout == "w1@test: OK\n\n1 node online.\n"


def test_purge_drops_what_waits(project: Path, worker: RunningWorker) -> None:
    celery_rs(project, "call", "proj.add", "-a", "[2, 2]", "--queue", "idle")

    assert celery_rs(project, "purge", "-f", "-Q", "idle").stdout == "Purged 1 message from 1 known task queue.\n"


def test_sigterm_lets_the_running_task_finish(project: Path, worker: RunningWorker, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    task_id = call(project, "proj.until", str(flag))
    until_not_empty(project)

    worker.process.send_signal(signal.SIGTERM)
    worker.wait_for("worker: Warm shutdown (MainProcess)")
    flag.touch()

    assert worker.end() == 0
    assert result(project, task_id) == "seen"


def test_a_second_interrupt_ends_the_running_task(project: Path, worker: RunningWorker, tmp_path: Path) -> None:
    call(project, "proj.until", str(tmp_path / "never"))
    until_not_empty(project)

    worker.process.send_signal(signal.SIGINT)
    worker.wait_for("worker: Hitting Ctrl+C again will terminate all running tasks!")

    assert worker.end(signal.SIGINT) == 1
    assert "worker: Cold shutdown (MainProcess)" in worker.output


def test_a_solo_worker_runs_tasks_too(project: Path) -> None:
    worker = RunningWorker(project, "-P", "solo")
    try:
        assert result(project, call(project, "proj.add", 2, 3)) == "5"
        assert worker.end(signal.SIGTERM) == 0
    finally:
        worker.kill()


def test_a_pid_file_keeps_the_second_worker_out(project: Path) -> None:
    worker = RunningWorker(project, "--pidfile", "%n.pid")
    try:
        second = celery_rs(project, "worker", "-n", "w1@test", "--pidfile", "%n.pid")

        assert second.returncode == 73
        assert "Pidfile (w1.pid) already exists. Seems we're already running? (pid: " in second.stderr
        assert worker.end(signal.SIGTERM) == 0
        assert not (project / "w1.pid").exists()
    finally:
        worker.kill()


def test_the_log_goes_to_a_file_when_asked(project: Path) -> None:
    worker = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "celery_rs",
            "-A",
            "proj",
            "-q",
            "worker",
            "-n",
            "w1@test",
            "-l",
            "INFO",
            "-f",
            "%p.log",
        ],
        cwd=project,
        env=environment(),
    )
    try:
        assert result(project, call(project, "proj.add", 1, 1)) == "2"
    finally:
        worker.terminate()
        worker.wait(DEADLINE_S)

    assert "w1@test ready." in (project / "w1@test.log").read_text()


@pytest.mark.parametrize("command", [("worker",), ("call", "proj.add", "-a", "[2, 2]"), ("purge", "-f"), ("status",)])
def test_a_database_that_is_none_is_one_line(project: Path, command: tuple[str, ...]) -> None:
    (project / "tasks.sqlite3").write_bytes(b"this is no database, and long enough to be seen as one" * 100)

    ended = celery_rs(project, *command)

    errors = [line for line in ended.stderr.splitlines() if not line.startswith("Warning: ")]
    assert ended.returncode == 2, ended.stderr
    assert len(errors) == 1, ended.stderr
    assert errors[0].startswith("Error: ")
    assert "tasks.sqlite3" in errors[0]
