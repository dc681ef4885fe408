"""logtool, on lines as our worker writes them."""

import json
import re
from pathlib import Path

import pytest

from tests.cli.conftest import Run, error_of

LOG = """\
[2030-01-01 10:00:00,000: INFO/MainProcess] w1@h ready.
[2030-01-01 10:00:01,000: INFO/MainProcess] Task proj.add[id-1] received
[2030-01-01 10:00:01,500: INFO/MainProcess] Task proj.add[id-1] succeeded in 0.5s: 4
[2030-01-01 10:00:02,000: INFO/MainProcess] Task proj.add[id-2] received
[2030-01-01 10:00:02,100: ERROR/MainProcess] Task proj.add[id-2] raised unexpected: ValueError('no')
Traceback (most recent call last):
  File "proj.py", line 3, in add
ValueError: no
[2030-01-01 10:00:03,000: INFO/MainProcess] Task proj.add[id-3] received
[2030-01-01 10:00:03,100: INFO/MainProcess] Task proj.add[id-3] retry: Retry in 3s
[2030-01-01 10:00:04,000: INFO/MainProcess] Task proj.slow[id-4] received
[2030-01-01 10:00:05,000: ERROR/MainProcess] Hard time limit (1.0s) exceeded for proj.slow[id-4]
[2030-01-01 10:00:06,000: INFO/MainProcess] Task proj.slow[id-5] received
[2030-01-01 10:00:06,000: INFO/MainProcess] Discarding revoked task: proj.slow[id-5] (expired)
"""


@pytest.fixture
def log(project: Path) -> str:
    (project / "w1.log").write_text(LOG)
    return "w1.log"


def test_tasks_are_counted(run: Run, log: str) -> None:
    report = json.loads(run("logtool", "stats", "--json", log).stdout)

    assert report["total"] == {"received": 5, "succeeded": 1, "failed": 2, "retried": 1, "incomplete": 1}
    assert report["tasks"]["proj.add"] == {
        "received": 3, "succeeded": 1, "failed": 1, "retried": 1, "mean_seconds": 0.5
    }  # fmt: skip


def test_the_report_is_a_table_for_people(run: Run, log: str) -> None:
    shown = run("logtool", "stats", log).stdout

    assert re.search(r"Tasks received: +5\n", shown)
    assert re.search(r"Task +Received +Succeeded +Failed +Retried +Mean seconds\nproj.add +3 +1 +1 +1 +0.5\n", shown)


def test_failures_are_printed(run: Run, log: str) -> None:
    lines = run("logtool", "errors", log).stdout.splitlines()

    assert [line.partition("] ")[2] for line in lines] == [
        "Task proj.add[id-2] raised unexpected: ValueError('no')",
        "Hard time limit (1.0s) exceeded for proj.slow[id-4]",
    ]


def test_stack_traces_are_printed_whole(run: Run, log: str) -> None:
    shown = run("logtool", "traces", log).stdout

    assert shown.startswith("[2030-01-01 10:00:02,100: ERROR/MainProcess] Task proj.add[id-2]")
    assert shown.endswith("ValueError: no\n")


def test_what_did_not_end_is_named(run: Run, log: str) -> None:
    assert run("logtool", "incomplete", log).stdout == "Did not complete: id-3\n"
    assert json.loads(run("logtool", "incomplete", "--json", log).stdout) == ["id-3"]


def test_the_rest_is_for_debugging(run: Run, log: str) -> None:
    assert run("logtool", "debug", log).stdout == "[2030-01-01 10:00:00,000: INFO/MainProcess] w1@h ready.\n"


def test_a_log_is_read_from_standard_input(run: Run) -> None:
    assert run("logtool", "incomplete", input=LOG).stdout == "Did not complete: id-3\n"
    assert run("logtool", "incomplete", "-", input=LOG).stdout == "Did not complete: id-3\n"


def test_a_log_that_cannot_be_read_is_told(run: Run) -> None:
    assert error_of(run("logtool", "stats", "nowhere.log"), 2) == (
        "the log 'nowhere.log' cannot be read: No such file or directory"
    )
