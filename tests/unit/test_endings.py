"""The ends that the worker decides without a run, and who hears of them."""

import json
from typing import Any

import pytest

from celery_rs.worker.dispatcher import Entry
from celery_rs.worker.endings import Endings
from celery_rs.worker.policy import Policy
from celery_rs.worker.pools import Lost
from tests.messages import delivery, envelope

POLICIES = {
    "proj.add": Policy(hard_limit=5.0),
    "proj.silent": Policy(ignore_result=True),
    "proj.errors": Policy(ignore_result=True, store_errors=True),
}


def record_of(by_us: Any, *, asked: bool, task: str = "proj.add", **fields: Any) -> dict[str, Any] | None:
    """What is stored for a job whose process died."""
    opened = envelope(task, **fields)
    entry = Entry(delivery(task), opened, POLICIES[task], 0.0)
    record = Endings("w1@h", POLICIES).loss(entry, Lost(entry.key, 7, "signal 9 (SIGKILL)", by_us), asked=asked).record
    return None if record is None else json.loads(record.meta)


@pytest.mark.parametrize(
    ("by_us", "asked", "status", "error"),
    [
        (None, True, "FAILURE", "WorkerLostError"),
        ("hard", False, "FAILURE", "TimeLimitExceeded"),
        ("terminate", True, "REVOKED", "TaskRevokedError"),
        ("terminate", False, "FAILURE", "WorkerLostError"),
    ],
)
def test_the_caller_hears_how_the_run_ended(by_us: Any, asked: bool, status: str, error: str) -> None:
    meta = record_of(by_us, asked=asked)

    assert meta is not None
    assert (meta["status"], meta["result"]["exc_type"]) == (status, error)


@pytest.mark.parametrize(
    ("task", "fields", "stored"),
    [
        ("proj.silent", {}, False),
        ("proj.silent", {"ignore_result": False}, True),
        ("proj.errors", {}, True),
        ("proj.add", {"ignore_result": True}, False),
    ],
)
def test_nothing_is_stored_for_who_ignores_results(task: str, fields: dict[str, Any], stored: bool) -> None:
    assert (record_of(None, asked=True, task=task, **fields) is not None) is stored
