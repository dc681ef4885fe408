"""What the worker command is made of: node names, the pid file, the log, the banner."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pytest

from celery_rs.app import Celery
from celery_rs.cli.banner import banner, task_list
from celery_rs.cli.nodes import Node, is_per_process, node_named, path_for
from celery_rs.cli.output import ExitCode, Failure
from celery_rs.cli.pidfile import holding, live_owner


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(socket, "gethostname", lambda: "george.example.com")
    return "george.example.com"


@pytest.mark.parametrize(
    ("given", "node"),
    [
        (None, "celery@george.example.com"),
        ("w1@%h", "w1@george.example.com"),
        ("w1@%n", "w1@george"),
        ("w1@%d", "w1@example.com"),
        ("elsewhere", "celery@elsewhere"),
        ("100%%@x", "100%@x"),
    ],
)
def test_a_node_is_named_as_celery_names_it(host: str, given: str | None, node: str) -> None:
    assert str(node_named(given)) == node


@pytest.mark.parametrize("given", ["@h", "w1@", "w 1@h", "%i@h", "100%@h"])
def test_a_bad_node_name_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match=r"expected .*, got "):
        node_named(given)


def test_paths_are_of_the_node() -> None:
    assert path_for(Node("w1", "george.example.com"), "/x/%n-%h-%d-%p.log") == (
        "/x/w1-george.example.com-example.com-w1@george.example.com.log"
    )


@pytest.mark.parametrize(("process", "path"), [(0, "/x/w1-0.log"), (3, "/x/w1-3-3.log")])
def test_paths_are_of_one_process_of_the_node(process: int, path: str) -> None:
    assert path_for(Node("w1", "h"), "/x/%n-%i%I.log", process) == path


@pytest.mark.parametrize(("path", "is_so"), [("%n%I.log", True), ("%i", True), ("%n.log", False), ("100%%I", False)])
def test_a_path_with_the_number_of_the_process_is_one_for_each(path: str, is_so: bool) -> None:
    assert is_per_process(path) is is_so


def test_a_pid_file_is_there_while_it_is_held(tmp_path: Path) -> None:
    path = tmp_path / "w.pid"

    with holding(path):
        assert path.read_text() == f"{os.getpid()}\n"
    assert not path.exists()


@pytest.mark.parametrize("content", ["", "-1", "0", "99999999999999999999"])
def test_a_pid_file_of_nobody_is_taken_over(tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "w.pid"
    path.write_text(content)
    os.utime(path, (0, 0))

    with holding(path):
        assert path.read_text() == f"{os.getpid()}\n"
    assert capsys.readouterr().err.startswith(f"Removed the stale pid file {path}")


def test_an_empty_pid_file_that_was_made_this_moment_is_somebodys(tmp_path: Path) -> None:
    path = tmp_path / "w.pid"
    path.touch()

    with pytest.raises(Failure, match="was taken by another process this moment"), holding(path):
        pass
    assert path.exists()


@pytest.mark.parametrize("take", [holding, live_owner])
def test_a_file_that_is_no_pid_file_is_left_alone(tmp_path: Path, take: Callable[[Path], Any]) -> None:
    path = tmp_path / "proj.py"
    path.write_text("app = Celery()")

    with pytest.raises(Failure, match="holds no process id; choose another") as refused, ExitStack() as held:
        held.enter_context(take(path))
    assert refused.value.code == ExitCode.CANNOT_CREATE
    assert path.read_text() == "app = Celery()"


def test_a_pid_file_of_a_process_that_died_is_taken_over(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    path = tmp_path / "w.pid"
    path.write_text(str(dead.pid))

    with holding(path):
        assert path.read_text() == f"{os.getpid()}\n"


def test_a_pid_file_with_our_own_pid_is_of_another_life_of_the_machine(tmp_path: Path) -> None:
    path = tmp_path / "w.pid"
    path.write_text(str(os.getpid()))  # in a container pids are the same each time

    with holding(path):
        assert path.read_text() == f"{os.getpid()}\n"


def test_a_pid_file_of_a_live_process_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.pid"
    path.write_text(str(os.getppid()))

    with pytest.raises(Failure, match="already running") as refused, holding(path):
        pass
    assert refused.value.code == ExitCode.CANNOT_CREATE
    assert path.read_text() == str(os.getppid())


def test_a_pid_file_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="No such file or directory"), holding(tmp_path / "no" / "w.pid"):
        pass


def test_a_directory_is_no_pid_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Failure, match="cannot be read: Is a directory"), holding(tmp_path):
        pass
    assert capsys.readouterr().err == ""


def test_a_pid_file_that_another_process_took_is_left_to_it(tmp_path: Path) -> None:
    path = tmp_path / "w.pid"

    with holding(path):
        path.write_text("1\n")
    assert path.read_text() == "1\n"


def plain_banner(app: Any) -> str:
    text = banner(app, "w1@h", concurrency=2, pool="prefork", queues=app.queues(), now=datetime(2030, 1, 2, tzinfo=UTC))
    return click.unstyle(text)


def test_the_banner_masks_nothing_but_secrets_and_lists_queues_sorted() -> None:
    app = Celery("proj", broker="memory://", task_queues={"b": {"exchange": "x", "routing_key": "k"}, "a": {}})

    text = plain_banner(app)

    assert "w1@h v" in text
    assert "2030-01-02 00:00:00" in text
    assert text.index(".> a ") < text.index(".> b                exchange=x(direct) key=k")
    assert all(line == line.rstrip() for line in text.splitlines())


def test_the_banner_tells_the_bounds_of_an_autoscaled_pool() -> None:
    app = Celery("proj", broker="memory://")

    text = banner(
        app, "w1@h", concurrency=1, pool="prefork", queues=(), now=datetime(2030, 1, 2, tzinfo=UTC), autoscale=(10, 3)
    )

    assert ".> concurrency: {min=3, max=10} (prefork)" in text
    assert ".> task events: OFF (enable -E to monitor tasks in this worker)" in text


def test_the_banner_names_a_loader_of_the_projects() -> None:
    assert re.search(r"app: +proj:0x[0-9a-f]+$", plain_banner(Celery("proj", broker="memory://")), re.MULTILINE)
    own = plain_banner(Celery("proj", broker="memory://", loader="default"))
    assert re.search(r"app: +proj:0x[0-9a-f]+ \(celery_rs\.app\.loaders\.DefaultLoader\)$", own, re.MULTILINE)


def test_celerys_own_tasks_are_listed_only_on_request() -> None:
    names = ["proj.b", "celery.chord", "proj.a"]

    assert task_list(names, builtins=False) == "[tasks]\n  . proj.a\n  . proj.b\n"
    assert task_list(names, builtins=True) == "[tasks]\n  . celery.chord\n  . proj.a\n  . proj.b\n"
