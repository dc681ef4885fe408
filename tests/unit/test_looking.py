"""Waiting in a store that tells nobody: what happens when it goes away meanwhile."""

from collections.abc import Collection

import pytest

from celery_rs.backends import looking
from celery_rs.backends.looking import Patient, watch_by_looking
from celery_rs.errors import BackendError
from celery_rs.wire import TaskResult

READY = TaskResult("a", "SUCCESS", 0, b"")


class Away(BackendError):
    """The store is not there."""


class Store:
    """Answers as it is told to."""

    def __init__(self, *answers: dict[str, TaskResult] | Exception) -> None:
        self._answers = list(answers)

    def fetch(self, ids: Collection[str]) -> dict[str, TaskResult]:
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def watched(*answers: dict[str, TaskResult] | Exception) -> list[TaskResult]:
    patient = Patient(Store(*answers).fetch, Away)
    return list(watch_by_looking(patient, ["a"], None, lambda seconds: None))


def test_who_waits_outlives_a_store_that_has_answered_before() -> None:
    assert watched({}, Away("away"), Away("away"), {}, Away("away"), {"a": READY}) == [READY]


def test_a_store_that_has_never_answered_is_told_of_at_once() -> None:
    with pytest.raises(Away):
        watched(Away("away"))


def test_an_answer_that_says_what_is_wrong_is_told_of_at_once() -> None:
    with pytest.raises(BackendError, match="no such table"):
        watched({}, BackendError("no such table"))


def test_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "PATIENCE_S", -1.0)

    with pytest.raises(Away):
        watched({}, Away("away"))
