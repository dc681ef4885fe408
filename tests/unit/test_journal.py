"""The log lines about tasks: Celery's words, and their parts for handlers of one's own."""

import logging
import signal
from typing import Any

import pytest

from celery_rs import _core
from celery_rs.errors import NotRegistered
from celery_rs.execution import Outcome
from celery_rs.worker import journal
from celery_rs.worker.deadlines import Overrun
from celery_rs.worker.dispatcher import Dead, Entry, Revoked
from celery_rs.worker.policy import Policy
from tests.messages import delivery


def entry(**fields: Any) -> Entry:
    one = delivery("proj.add", "id-1", argsrepr="(1, 2)", kwargsrepr="{}", **fields)
    assert isinstance(one.envelope, _core.Envelope)
    return Entry(one, one.envelope, Policy(), 0.0)


def dead(reason: str, **fields: Any) -> Dead:
    return Dead(
        delivery("nobody.knows", "id-1", queue="q", **fields), reason, "the detail", NotRegistered("nobody.knows")
    )


def outcome(end: Any, text: str = "", **more: Any) -> Outcome:
    return Outcome("tag", end, "STATE", 0.5, text, **more)


@pytest.fixture(autouse=True)
def everything(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)


@pytest.mark.parametrize(
    ("write", "level", "line"),
    [
        (lambda: journal.received([entry()]), "INFO", "Task proj.add[id-1] received"),
        (lambda: journal.received([entry(shadow="other")]), "INFO", "Task other[id-1] received"),
        (lambda: journal.expired(entry()), "INFO", "Discarding revoked task: proj.add[id-1] (expired)"),
        (lambda: journal.revoked(Revoked(entry(), None)), "INFO", "Discarding revoked task: proj.add[id-1]"),
        (
            lambda: journal.revoked(Revoked(entry(), {"customer": 7})),
            "INFO",
            "Discarding revoked task: proj.add[id-1] (revoked by header: {'customer': 7})",
        ),
        (lambda: journal.terminating(entry(), signal.SIGTERM), "INFO", "Terminating id-1 (SIGTERM)"),
        (
            lambda: journal.ended(entry(), outcome("success", "3")),
            "INFO",
            "Task proj.add[id-1] succeeded in 0.5s: 3",
        ),
        (
            lambda: journal.ended(entry(), outcome("retry", "Retry in 3s: ValueError()")),
            "INFO",
            "Task proj.add[id-1] retry: Retry in 3s: ValueError()",
        ),
        (lambda: journal.ended(entry(), outcome("ignore")), "INFO", "Task proj.add[id-1] ignored"),
        (
            lambda: journal.ended(entry(), outcome("requeue", "reject requeue=True: why")),
            "WARNING",
            "Task proj.add[id-1] reject requeue=True: why",
        ),
        (
            lambda: journal.ended(entry(), outcome("failure", "KeyError('k')", expected=True, traceback="tb")),
            "INFO",
            "Task proj.add[id-1] raised expected: KeyError('k')",
        ),
        (
            lambda: journal.ended(entry(), outcome("failure", "KeyError('%s')", traceback="Traceback: %d")),
            "ERROR",
            "Task proj.add[id-1] raised unexpected: KeyError('%s')\nTraceback: %d",
        ),
        (
            lambda: journal.overrun(entry(), Overrun("tag", "soft", 2.0)),
            "WARNING",
            "Soft time limit (2.0s) exceeded for proj.add[id-1]",
        ),
        (
            lambda: journal.overrun(entry(), Overrun("tag", "hard", 3)),
            "ERROR",
            "Hard time limit (3s) exceeded for proj.add[id-1]",
        ),
        (
            lambda: journal.buried(dead("crashes")),
            "ERROR",
            "A message of queue 'q' became a dead letter (crashes): the detail",
        ),
    ],
)
def test_a_line_says_it_in_celerys_words(write: Any, level: str, line: str, caplog: pytest.LogCaptureFixture) -> None:
    write()

    ((_, _, said),) = caplog.record_tuples
    assert (caplog.records[0].levelname, said) == (level, line)


def test_an_unknown_task_is_shown_with_all_that_is_known_of_it(caplog: pytest.LogCaptureFixture) -> None:
    journal.buried(dead("unknown-task", body=b"[[1], {}, {}]"))

    (record,) = caplog.records
    said = record.getMessage()
    assert said.startswith("Received unregistered task of type 'nobody.knows'.\n")
    assert "Body: [[1], {}, {}] (13 bytes)" in said
    assert "'routing_key': 'celery'" in said


def test_a_body_that_is_long_is_cut(caplog: pytest.LogCaptureFixture) -> None:
    journal.buried(dead("unknown-task", body=b"[" + b"1" * 5000 + b"]"))

    assert "... (5002 bytes)" in caplog.records[0].getMessage()
    assert len(caplog.records[0].getMessage()) < 4000


def test_the_parts_of_a_line_go_along(caplog: pytest.LogCaptureFixture) -> None:
    journal.ended(entry(), outcome("success", "3"))

    assert caplog.records[0].__dict__["data"] == {
        "id": "id-1",
        "name": "proj.add",
        "args": "(1, 2)",
        "kwargs": "{}",
        "runtime": 0.5,
        "return_value": "3",
    }
