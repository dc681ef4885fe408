"""What the worker command is made of: node names, the pid file, the log, the banner."""

import logging
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest

from celery_rs import context
from celery_rs.app import Celery
from celery_rs.cli.banner import banner, task_list
from celery_rs.cli.logging import set_up_logging
from celery_rs.cli.nodes import Node, node_named, path_for
from celery_rs.cli.output import ExitCode, Failure
from celery_rs.cli.pidfile import holding
from celery_rs.config import Settings


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


def test_a_pid_file_is_there_while_it_is_held(tmp_path: Path) -> None:
    path = tmp_path / "w.pid"

    with holding(path):
        assert path.read_text() == f"{os.getpid()}\n"
    assert not path.exists()


@pytest.mark.parametrize("content", ["", "garbage", "-1", "0", "99999999999999999999"])
def test_a_pid_file_of_nobody_is_taken_over(tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "w.pid"
    path.write_text(content)

    with holding(path):
        assert path.read_text() == f"{os.getpid()}\n"
    assert capsys.readouterr().err.startswith(f"Removed the stale pid file {path}")


def test_a_pid_file_of_a_process_that_died_is_taken_over(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    path = tmp_path / "w.pid"
    path.write_text(str(dead.pid))

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
    with pytest.raises(Failure, match="cannot be removed: Is a directory"), holding(tmp_path):
        pass
    assert capsys.readouterr().err == ""


def test_a_pid_file_that_another_process_took_is_left_to_it(tmp_path: Path) -> None:
    path = tmp_path / "w.pid"

    with holding(path):
        path.write_text("1\n")
    assert path.read_text() == "1\n"


@pytest.fixture
def loggers() -> Iterator[None]:
    """Both loggers as they were, afterwards."""
    kept = [(logger, list(logger.handlers), logger.level, logger.propagate) for logger in (root(), tasks())]
    yield
    logging.captureWarnings(False)
    for logger, handlers, level, propagate in kept:
        for made in set(logger.handlers) - set(handlers):
            made.close()
        logger.handlers[:], logger.propagate = handlers, propagate
        logger.setLevel(level)


def root() -> logging.Logger:
    return logging.getLogger()


def tasks() -> logging.Logger:
    return logging.getLogger("celery.task")


@pytest.mark.usefixtures("loggers")
def test_lines_have_celerys_format(tmp_path: Path) -> None:
    set_up_logging(Settings(), logging.INFO, str(tmp_path / "log"), no_color=True)

    logging.getLogger("any").info("heard %s", 1)
    logging.getLogger("any").debug("not heard")

    line = (tmp_path / "log").read_text()
    assert re.fullmatch(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}: INFO/MainProcess\] heard 1\n", line)


@pytest.mark.usefixtures("loggers")
def test_lines_of_a_task_name_it(tmp_path: Path) -> None:
    set_up_logging(Settings(), logging.INFO, str(tmp_path / "log"), no_color=True)

    with context.running(SimpleNamespace(task="proj.add", id="id-1")):
        logging.getLogger("celery.task.proj").info("inside")
    tasks().info("outside")

    inside, outside = (tmp_path / "log").read_text().splitlines()
    assert inside.endswith("INFO/MainProcess] proj.add[id-1]: inside")
    assert outside.endswith("???[???]: outside")


@pytest.mark.usefixtures("loggers")
def test_a_log_that_cannot_be_written_changes_nothing(tmp_path: Path) -> None:
    before = list(root().handlers)

    with pytest.raises(OSError, match="No such file"):
        set_up_logging(Settings(), logging.INFO, str(tmp_path / "no" / "log"), no_color=True)

    assert root().handlers == before


@pytest.mark.usefixtures("loggers")
def test_handlers_of_the_project_stay_when_the_root_is_not_hijacked(tmp_path: Path) -> None:
    own = logging.NullHandler()
    root().addHandler(own)

    set_up_logging(Settings({"worker_hijack_root_logger": False}), logging.INFO, str(tmp_path / "log"), no_color=True)

    assert own in root().handlers


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


def test_celerys_own_tasks_are_listed_only_on_request() -> None:
    names = ["proj.b", "celery.chord", "proj.a"]

    assert task_list(names, builtins=False) == "[tasks]\n  . proj.a\n  . proj.b\n"
    assert task_list(names, builtins=True) == "[tasks]\n  . celery.chord\n  . proj.a\n  . proj.b\n"
