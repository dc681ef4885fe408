"""Celery's exceptions and states, by their names, their kin and their texts."""

from datetime import UTC, datetime

import pytest

from celery_rs import errors, states


@pytest.mark.parametrize(
    ("retry", "text"),
    [
        (errors.Retry(), "Retry at None"),
        (errors.Retry("later"), "later"),
        (errors.Retry("later", KeyError("k")), "later"),
        (errors.Retry(exc=KeyError("k"), when=5), "Retry in 5s: KeyError('k')"),
        (errors.Retry(when=datetime(2030, 1, 2, tzinfo=UTC)), "Retry at 2030-01-02T00:00:00+00:00"),
    ],
)
def test_a_retry_says_when_and_why(retry: errors.Retry, text: str) -> None:
    assert str(retry) == text


def test_what_is_missing_is_caught_as_celery_raises_it() -> None:
    with pytest.raises(NotImplementedError, match="a chord is not supported here; do this"):
        raise errors.NotSupported("a chord", "do this")


@pytest.mark.parametrize(
    ("name", "kin"),
    [
        ("AlreadyRegistered", errors.TaskError),
        ("BackendGetMetaError", errors.BackendError),
        ("BackendStoreError", errors.BackendError),
        ("RetryTaskError", errors.Retry),
        ("AlwaysEagerIgnored", errors.CeleryWarning),
        ("DuplicateNodenameWarning", UserWarning),
        ("DuplicateTaskNameWarning", UserWarning),
        ("FixupWarning", errors.CeleryWarning),
        ("NotConfigured", errors.CeleryWarning),
        ("SecurityWarning", errors.CeleryWarning),
        ("CDeprecationWarning", DeprecationWarning),
        ("CPendingDeprecationWarning", PendingDeprecationWarning),
        ("WorkerShutdown", SystemExit),
        ("SystemTerminate", errors.WorkerTerminate),
    ],
)
def test_celerys_classes_are_here_with_their_kin(name: str, kin: type[BaseException]) -> None:
    assert issubclass(getattr(errors, name), kin)


def test_errors_carry_what_they_are_about() -> None:
    assert errors.BackendGetMetaError("gone", task_id="id").task_id == "id"
    assert errors.BackendStoreError("full", state="SUCCESS", task_id="id").state == "SUCCESS"
    assert errors.CeleryCommandException("no", 3).exit_code == 3


def test_an_error_is_raised_again_with_its_traceback() -> None:
    try:
        raise KeyError("k")
    except KeyError as error:
        caught = error

    with pytest.raises(KeyError) as again:
        errors.reraise(KeyError, caught, caught.__traceback__)

    assert again.value is caught


def test_states_compare_by_their_precedence() -> None:
    assert states.state("SUCCESS") > states.state("PENDING")
    assert states.state("PENDING") <= "RETRY"
    assert states.state("PROGRESS") < states.state("FAILURE")
    assert states.state("FAILURE") >= states.state("FAILURE")
    assert states.state("STARTED") == "STARTED"
    assert {states.state("STARTED")} == {"STARTED"}


def test_precedence_ranks_custom_states_between_failure_and_revoked() -> None:
    ranks = [states.precedence(name) for name in ("SUCCESS", "FAILURE", "PROGRESS", "REVOKED", "PENDING")]

    assert ranks == sorted(ranks) == [0, 1, 2, 3, 8]
    assert states.PRECEDENCE_LOOKUP["PENDING"] == 8
    assert states.NONE_PRECEDENCE == 2
