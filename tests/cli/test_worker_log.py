"""The log of a worker and its children: real processes, files of their own, what tasks print."""

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.running import RunningWorker, call, celery_rs, result
from tests.deadlines import eventually

TASKS = """
import logging
import sys
import warnings

from celery_rs import Celery, get_task_logger, signals

app = Celery("proj", broker="sqlite:///tasks.sqlite3", backend="sqlite:///tasks.sqlite3")
logger = get_task_logger(__name__)


@app.task
def speak(text):
    print(text)
    print("quietly", file=sys.stderr)
    logger.info("by the logger")
    warnings.warn("by a warning", stacklevel=1)
    return text
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "proj.py").write_text(TASKS)
    return tmp_path


@contextmanager
def running(project: Path, *options: str, more: str = "") -> Iterator[RunningWorker]:
    (project / "proj.py").write_text(TASKS + more)
    worker = RunningWorker(project, "-c", "1", *options)
    try:
        yield worker
    finally:
        worker.end(signal.SIGTERM)


@contextmanager
def detached(project: Path, *options: str) -> Iterator[None]:
    """A worker whose log is in files alone."""
    started = celery_rs(
        project, "worker", "-n", "w1@test", "-c", "1", "-l", "info", "-D", "--pidfile", "w.pid", *options
    )
    assert started.returncode == 0, started.stderr
    pid = int((project / "w.pid").read_text())
    try:
        yield
    finally:
        os.kill(pid, signal.SIGTERM)
        eventually(lambda: not (project / "w.pid").exists())


def line_with(text: str, output: str) -> str:
    return next(line for line in output.splitlines() if text in line)


def test_what_tasks_print_is_logged_by_the_process_that_runs_them(project: Path) -> None:
    with running(project) as worker:
        result(project, call(project, "proj.speak", "aloud"))

    assert re.search(r": WARNING/ForkPoolWorker-1\] aloud$", line_with("aloud", worker.output))
    assert re.search(r": WARNING/ForkPoolWorker-1\] quietly$", line_with("quietly", worker.output))


def test_a_task_logger_names_the_task(project: Path) -> None:
    with running(project) as worker:
        task_id = call(project, "proj.speak", "x")
        result(project, task_id)

    said = line_with("by the logger", worker.output)
    assert said.endswith(f": INFO/ForkPoolWorker-1] proj.speak[{task_id}]: by the logger")


def test_warnings_of_tasks_are_logged(project: Path) -> None:
    with running(project) as worker:
        result(project, call(project, "proj.speak", "x"))

    assert "WARNING/ForkPoolWorker-1] " in line_with("by a warning", worker.output)


def test_what_tasks_print_has_the_level_of_the_setting(project: Path) -> None:
    with running(project, more="app.conf.worker_redirect_stdouts_level = 'ERROR'\n") as worker:
        result(project, call(project, "proj.speak", "aloud"))

    assert ": ERROR/ForkPoolWorker-1] aloud" in worker.output


def test_what_tasks_print_is_not_logged_when_the_setting_says_so(project: Path) -> None:
    with running(project, more="app.conf.worker_redirect_stdouts = False\n") as worker:
        result(project, call(project, "proj.speak", "aloud"))

    assert line_with("quietly", worker.output) == "quietly"


def test_a_solo_worker_logs_what_tasks_print_too(project: Path) -> None:
    with running(project, "-P", "solo") as worker:
        result(project, call(project, "proj.speak", "aloud"))

    assert "WARNING/MainProcess] aloud" in worker.output


def test_how_a_worker_stops_is_printed_as_it_is(project: Path) -> None:
    with running(project) as worker:
        pass

    assert "worker: Warm shutdown (MainProcess)" in worker.output.splitlines()


def test_each_process_has_a_log_of_its_own_when_asked(project: Path) -> None:
    with detached(project, "-f", "%n%I.log"):
        result(project, call(project, "proj.speak", "aloud"))
        eventually(lambda: "succeeded" in (project / "w1.log").read_text())

    assert "ForkPoolWorker-1] aloud" in (project / "w1-1.log").read_text()
    assert "] aloud" not in (project / "w1.log").read_text()


def test_a_rotated_log_is_made_anew_by_every_process(project: Path) -> None:
    with detached(project, "-f", "w1.log"):
        (project / "w1.log").rename(project / "w1.log.1")
        result(project, call(project, "proj.speak", "aloud"))
        eventually(lambda: "succeeded" in (project / "w1.log").read_text())

    assert "ForkPoolWorker-1] aloud" in (project / "w1.log").read_text()
    assert "aloud" not in (project / "w1.log.1").read_text()


def test_a_receiver_of_setup_logging_has_the_log_to_itself(project: Path) -> None:
    more = """
@signals.setup_logging.connect
def mine(loglevel, **kwargs):
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("mine %(processName)s %(message)s"))
    logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(loglevel)
"""
    with running(project, more=more) as worker:
        result(project, call(project, "proj.speak", "aloud"))

    assert "mine MainProcess w1@test ready.\n" in worker.output
    assert "mine ForkPoolWorker-1 by the logger\n" in worker.output
    assert "aloud" in worker.output.splitlines()


def test_a_receiver_may_change_the_task_logger(project: Path) -> None:
    more = """
@signals.after_setup_task_logger.connect
def mine(logger, **kwargs):
    for handler in logger.handlers:
        handler.setFormatter(logging.Formatter("mine %(message)s"))
"""
    with running(project, more=more) as worker:
        result(project, call(project, "proj.speak", "x"))

    assert "mine by the logger" in worker.output.splitlines()


def test_a_handler_that_writes_to_stderr_does_not_recurse(project: Path) -> None:
    more = """
class Prints(logging.Handler):
    def emit(self, record):
        print("seen", record.getMessage(), file=sys.stderr)

@signals.after_setup_logger.connect
def mine(logger, **kwargs):
    logger.addHandler(Prints())
"""
    with running(project, more=more) as worker:
        result(project, call(project, "proj.speak", "aloud"))

    assert worker.output.splitlines().count("seen aloud") == 1
