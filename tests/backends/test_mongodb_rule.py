"""The filters by which records replace documents agree with the rule, as a small reading of MongoDB's language has it.

The conformance tests hold them to it on a server.
"""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from celery_rs import states
from celery_rs.backends.mongodb.expiry import Expiry
from celery_rs.backends.mongodb.rule import likely, replaceable
from celery_rs.wire import instant, supersedes

STATES = st.sampled_from([*sorted(states.ALL_STATES), states.REJECTED, states.IGNORED, "PROGRESS", "ÜBLICH"])
ATTEMPTS = st.integers(0, 3)

_MISSING = object()
_COMPARES: Mapping[str, Callable[[Any, Any], bool]] = {
    "$in": lambda value, wanted: value in wanted,
    "$nin": lambda value, wanted: value not in wanted,
    "$ne": lambda value, wanted: value != wanted,
    "$lt": lambda value, wanted: value is not _MISSING and value < wanted,
    "$lte": lambda value, wanted: value is not _MISSING and value <= wanted,
    "$gt": lambda value, wanted: value is not _MISSING and value > wanted,
    "$gte": lambda value, wanted: value is not _MISSING and value >= wanted,
    "$exists": lambda value, wanted: (value is not _MISSING) == wanted,
    "$not": lambda value, wanted: not _holds(value, wanted),
}


def matches(document: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """As the server reads it: all conditions hold."""
    return all(
        any(matches(document, choice) for choice in condition)
        if field == "$or"
        else _holds(document.get(field, _MISSING), condition)
        for field, condition in wanted.items()
    )


def _holds(value: Any, condition: Any) -> bool:
    if not isinstance(condition, Mapping):
        return bool(value == condition)
    return all(_COMPARES[operator](value, wanted) for operator, wanted in condition.items())


@settings(derandomize=True, database=None, max_examples=2000)
@given(STATES, ATTEMPTS, STATES, ATTEMPTS)
def test_the_filter_agrees_with_the_rule(state: str, attempt: int, over: str, over_attempt: int) -> None:
    expected = supersedes(state, attempt, over=over, over_attempt=over_attempt)

    assert matches({"status": over, "attempt": over_attempt}, replaceable(state, attempt)) == expected


@settings(derandomize=True, database=None, max_examples=500)
@given(STATES, ATTEMPTS, STATES, ATTEMPTS)
def test_what_is_likely_is_allowed(state: str, attempt: int, over: str, over_attempt: int) -> None:
    standing = {"status": over, "attempt": over_attempt}

    assert matches(standing, replaceable(state, attempt)) or not matches(standing, likely(state, attempt))


@settings(derandomize=True, database=None, max_examples=500)
@given(STATES, ATTEMPTS, STATES)
def test_a_document_of_celerys_is_of_the_first_attempt(state: str, attempt: int, over: str) -> None:
    expected = supersedes(state, attempt, over=over, over_attempt=0)

    assert matches({"status": over}, replaceable(state, attempt)) == expected


@pytest.mark.parametrize(
    ("document", "gone"),
    [
        ({"status": "SUCCESS", "expires_at": instant(99)}, True),
        ({"status": "SUCCESS", "expires_at": instant(101)}, False),
        ({"status": "FAILURE", "expires_at": instant(101), "date_done": instant(1)}, False),
        ({"status": "SUCCESS", "date_done": instant(39)}, True),
        ({"status": "SUCCESS", "date_done": instant(41)}, False),
        ({"status": "FAILURE", "date_done": instant(39)}, False),
        ({"status": "FAILURE", "date_done": instant(1)}, True),
        ({"status": "STARTED"}, False),
    ],
)
def test_celerys_documents_go_by_their_date_and_ours_when_they_say(document: dict[str, Any], gone: bool) -> None:
    expiry = Expiry(60.0, 90.0)

    assert matches(document, expiry.gone(100.0)) == expiry.is_gone(document, 100.0) == gone


def test_nothing_of_celerys_goes_where_results_are_kept_for_ever() -> None:
    assert not matches({"status": "SUCCESS", "date_done": instant(1)}, Expiry(None).gone(1e9))
