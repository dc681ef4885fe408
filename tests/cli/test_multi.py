"""Several workers at once: what the words of `multi` mean, and real workers in the background."""

import os
import shlex
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.cli.conftest import Run, error_of
from tests.cli.running import PROJECT, call, celery_rs, result
from tests.deadlines import eventually

HOST = socket.gethostname()


def shown(run: Run, *words: str) -> list[str]:
    """The commands that start the nodes, after `worker --detach`."""
    result = run("multi", "show", *words)
    assert result.exit_code == 0, result.output
    return [line.partition(" worker --detach ")[2] for line in result.stdout.splitlines()]


def names(run: Run, *words: str) -> list[str]:
    return run("multi", "names", *words).stdout.split()


# names


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("3",), ["celery1@{h}", "celery2@{h}", "celery3@{h}"]),
        (("2", "--range-prefix=w"), ["w1@{h}", "w2@{h}"]),
        (("2", "--range-prefix", "w", "--suffix", "example.com"), ["w1@example.com", "w2@example.com"]),
        (("image", "video"), ["image@{h}", "video@{h}"]),
        (("image", "video", "-n", "worker.example.com"), ["image@worker.example.com", "video@worker.example.com"]),
        (("a", "b@elsewhere", "--prefix=x-"), ["x-a@{h}", "b@elsewhere"]),
        (("a@%h", "--hostname=elsewhere"), ["a@{h}"]),
    ],
)
def test_nodes_are_named_by_count_or_by_name(run: Run, words: Sequence[str], expected: list[str]) -> None:
    assert names(run, *words) == [name.format(h=HOST) for name in expected]


def test_a_template_is_expanded_for_each_node(run: Run) -> None:
    expanded = run("multi", "expand", "/x/%n-%p%I.log", "a", "b@h")

    assert expanded.stdout.splitlines() == [f"/x/a-a@{HOST}%I.log", "/x/b-b@h%I.log"]


# options


def test_a_node_is_started_by_this_python_in_the_background(run: Run) -> None:
    result = run("multi", "show", "w", "-A", "proj")

    assert shlex.split(result.stdout) == [
        *(sys.executable, "-m", "celery_rs", "-A", "proj", "worker", "--detach"),
        *("--pidfile=%n.pid", "--logfile=%n%I.log", "-n", f"w@{HOST}"),
    ]


def test_what_is_said_of_some_nodes_wins_over_what_is_said_of_all(run: Run) -> None:
    first, second, third = shown(run, "3", "-c", "3", "-c:1-2", "10", "-Q:2,3", "images,video")

    assert first.startswith("-c 10 --pidfile")
    assert second.startswith("-c 10 -Q images,video --pidfile")
    assert third.startswith("-c 3 -Q images,video --pidfile")


def test_another_spelling_of_an_option_is_the_same_option(run: Run) -> None:
    first, second = shown(run, "image", "video", "--concurrency=3", "-c:image", "10")

    assert first.startswith("-c 10 --pidfile")
    assert second.startswith("--concurrency=3 --pidfile")


@pytest.mark.parametrize("option", ["--concurrency:1=10", "--concurrency:celery1=10"])
def test_a_long_option_may_be_of_some_nodes(run: Run, option: str) -> None:
    assert shown(run, "1", option)[0].startswith("--concurrency=10 ")


def test_a_flag_may_stand_before_a_name(run: Run) -> None:
    assert names(run, "--purge", "a", "--without-gossip", "b") == [f"a@{HOST}", f"b@{HOST}"]


def test_files_may_lie_elsewhere(run: Run) -> None:
    (line,) = shown(run, "w", "--pidfile=/run/%n.pid", "--logfile", "/var/log/%n.log")

    assert "--pidfile=/run/%n.pid --logfile=/var/log/%n.log -n" in line


def test_global_options_stand_before_the_command_wherever_they_are_given(run: Run) -> None:
    inside = run("multi", "show", "w", "--app=proj", "--workdir", "/srv").stdout
    before = run("--app", "proj", "-b", "memory://", "multi", "show", "w").stdout

    assert "-m celery_rs --app=proj --workdir=/srv worker --detach" in inside
    assert "-m celery_rs --app=proj --broker=memory:// worker --detach" in before


def test_the_command_may_be_another(run: Run) -> None:
    result = run("multi", "show", "w", "-A", "proj", "--executable=py", "--cmd=-m own worker -D", "--append=x 'y z'")

    assert shlex.split(result.stdout)[:6] == ["py", "-m", "own", "-A", "proj", "worker"]
    assert shlex.split(result.stdout)[-2:] == ["x", "y z"]


def test_settings_go_to_every_worker(run: Run) -> None:
    assert all(line.endswith(" worker.x=1 .y=2") for line in shown(run, "2", "worker.x=1", "--", ".y=2"))


def test_one_node_is_shown_by_name(run: Run) -> None:
    assert "-c 7 " in run("multi", "get", "b", "a", "b", "-c:b", "7").stdout


WRONG = [
    (("frob",), "no command 'frob' of multi; the commands are start, stop"),
    (("stop",), "expected nodes, by count or by name, got none"),
    (("get",), "multi get needs what to get, and nodes"),
    (("get", "z", "a"), "there is no node 'z' among a@"),
    (("start", "2"), "expected an app to take tasks from, got none"),
    (("show", "2", "-c:3", "1"), "expected nodes by number (1 to 2) or name, got '3'"),
    (("show", "a", "b", "-c:a,x", "1"), "expected nodes by number (1 to 2) or name, got 'a,x'"),
    (("show", "2", "-c"), "-c needs a value"),
    (("names", "a b"), "expected a node name such as 'w1@%h', got 'a b@%h'"),
    (("show", "a", "--pidfile=%x"), "expected %h, %n, %d, %p, %i, %I or %%, got '%x'"),
]


@pytest.mark.parametrize(("words", "said"), WRONG, ids=[" ".join(words) for words, _ in WRONG])
def test_a_mistake_is_one_line(run: Run, words: Sequence[str], said: str) -> None:
    assert said in error_of(run("multi", *words), 2)


@pytest.mark.parametrize("words", [(), ("help",), ("start", "--help"), ("--help",)])
def test_help_lists_the_commands(run: Run, words: Sequence[str]) -> None:
    result = run("multi", *words)

    assert result.exit_code == 0
    assert "stopwait NODES [-SIGNAL]" in result.stdout


# real workers


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Path]:
    """A project with two workers."""
    (tmp_path / "proj.py").write_text(PROJECT)
    try:
        started = celery_rs(tmp_path, "multi", "start", "2", "-c", "1", "-l", "info")
        assert started.returncode == 0, started.stderr
        yield tmp_path
    finally:
        for pid in pids(tmp_path):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


def pids(project: Path) -> list[int]:
    return [
        int((project / f"celery{number}.pid").read_text())
        for number in (1, 2)
        if (project / f"celery{number}.pid").exists()
    ]


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_workers_are_started_and_stopped(started: Path) -> None:
    before = pids(started)
    value = result(started, call(started, "proj.add", 2, 2))

    stopped = celery_rs(started, "multi", "stopwait", "2")

    assert value == "4"
    assert (started / "celery2-1.log").exists()
    assert all(map(is_gone, before))
    assert stopped.returncode == 0
    assert f"> celery1@{HOST}: TERM -> {before[0]}" in stopped.stdout
    assert stopped.stdout.rstrip().endswith(": OK")


def test_a_worker_that_runs_is_not_started_again(started: Path) -> None:
    again = celery_rs(started, "multi", "start", "2", "-c", "1")

    assert again.returncode == 73
    assert f"> celery2@{HOST}: FAILED (exit code 73)" in again.stdout
    assert "Pidfile (celery1.pid) already exists" in again.stderr


def test_workers_are_restarted(started: Path) -> None:
    before = pids(started)

    restarted = celery_rs(started, "multi", "restart", "2", "-c", "1", "--quiet")

    assert (restarted.returncode, restarted.stdout) == (0, "")
    assert all(map(is_gone, before))
    assert len(set(pids(started)) - set(before)) == 2


def test_workers_are_killed_whatever_they_run(started: Path) -> None:
    call(started, "proj.until", "never")
    before = pids(started)

    killed = celery_rs(started, "multi", "kill", "2")

    assert killed.returncode == 0
    assert f"> celery1@{HOST}: KILL -> {before[0]}" in killed.stdout
    assert pids(started) == []


def test_stop_sends_another_signal_when_asked(started: Path) -> None:
    before = pids(started)

    stopped = celery_rs(started, "multi", "stop", "2", "-QUIT")

    assert f"> celery1@{HOST}: QUIT -> {before[0]}" in stopped.stdout
    eventually(lambda: all(map(is_gone, before)))


def test_workers_that_are_not_there_are_down(tmp_path: Path) -> None:
    stopped = celery_rs(tmp_path, "multi", "stopwait", "1", "-9")

    assert stopped.returncode == 0
    assert f"> celery1@{HOST}: DOWN" in stopped.stdout


@pytest.mark.parametrize(("file", "problem"), [("folder", "Is a directory"), ("notes.txt", "holds no process id")])
def test_what_is_no_pid_file_is_told_in_one_line_and_left_alone(tmp_path: Path, file: str, problem: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "notes.txt").write_text("not a pid")

    stopped = celery_rs(tmp_path, "multi", "stop", "w", f"--pidfile={file}")

    assert stopped.returncode == 73
    assert stopped.stderr.startswith("Error: --pidfile")
    assert problem in stopped.stderr
    assert stopped.stderr.count("\n") == 1
    assert (tmp_path / file).exists()


def test_what_keeps_a_worker_from_starting_is_seen(tmp_path: Path) -> None:
    failed = celery_rs(tmp_path, "multi", "start", "1", app="nowhere")

    assert failed.returncode == 2
    assert "Error: -A nowhere: there is no module 'nowhere'" in failed.stderr
    assert f"> celery1@{HOST}: FAILED (exit code 2)" in failed.stdout


def test_the_pid_files_of_another_directory_are_found(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "proj.py").write_text(PROJECT)
    words = ("1", "-c", "1", "--workdir=sub")

    started = celery_rs(tmp_path, "multi", "start", *words)
    there = (tmp_path / "sub" / "celery1.pid").exists()
    stopped = celery_rs(tmp_path, "multi", "stopwait", *words)

    assert (started.returncode, there) == (0, True), started.stderr
    assert ": TERM -> " in stopped.stdout
