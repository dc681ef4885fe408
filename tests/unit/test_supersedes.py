"""The rule that results never go backwards, as laws over all states and attempts."""

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from celery_rs import states
from celery_rs.wire import supersedes

Record = tuple[str, int]

CUSTOM = ("PROGRESS", "HALFWAY", "ÜBLICH")
READY = st.sampled_from(sorted(states.READY_STATES))
STATES = st.sampled_from(sorted(states.ALL_STATES | {states.REJECTED, states.IGNORED}) + list(CUSTOM))
ATTEMPTS = st.integers(0, 4)
RECORDS = st.tuples(STATES, ATTEMPTS)

laws = settings(derandomize=True, database=None, max_examples=500)


def replaces(new: Record, old: Record) -> bool:
    return supersedes(*new, over=old[0], over_attempt=old[1])


def last_of(records: Sequence[Record]) -> Record:
    kept = records[0]
    for record in records[1:]:
        if replaces(record, kept):
            kept = record
    return kept


@laws
@given(RECORDS)
def test_nothing_replaces_success(new):
    for attempt in range(5):
        assert not replaces(new, (states.SUCCESS, attempt))


@laws
@given(RECORDS, READY, ATTEMPTS)
def test_a_ready_record_gives_way_only_to_a_ready_one_of_a_later_attempt(new, state, attempt):
    if replaces(new, (state, attempt)):
        assert new[0] in states.READY_STATES
        assert new[1] > attempt


@laws
@given(RECORDS, READY, ATTEMPTS)
def test_a_ready_record_replaces_every_unready_one(old, state, attempt):
    if old[0] not in states.READY_STATES:
        assert replaces((state, attempt), old)


@laws
@given(RECORDS, RECORDS)
def test_two_records_replace_each_other_only_as_progress_of_one_attempt(one, two):
    if replaces(one, two) and replaces(two, one):
        assert one[1] == two[1]
        assert one[0] not in states.READY_STATES
        assert two[0] not in states.READY_STATES
        assert one[0] == two[0] or states.precedence(one[0]) == states.precedence(two[0])


@laws
@given(STATES, ATTEMPTS)
def test_repeating_an_unready_record_is_harmless_and_a_ready_one_is_kept(state, attempt):
    assert replaces((state, attempt), (state, attempt)) == (state not in states.READY_STATES)


@laws
@given(RECORDS, RECORDS)
def test_an_unready_record_of_an_earlier_attempt_replaces_nothing(new, old):
    if new[1] < old[1] and new[0] not in states.READY_STATES:
        assert not replaces(new, old)


@laws
@given(RECORDS, RECORDS)
def test_a_later_attempt_replaces_every_unready_record(new, old):
    if new[1] > old[1] and old[0] not in states.READY_STATES:
        assert replaces(new, old)


@laws
@given(RECORDS, RECORDS, RECORDS)
def test_what_replaces_a_ready_record_replaces_all_that_it_replaced(first, second, third):
    if second[0] in states.READY_STATES and replaces(second, first) and replaces(third, second):
        assert replaces(third, first)


@laws
@given(st.permutations([("STARTED", 0), ("RETRY", 0), ("STARTED", 1), ("SUCCESS", 1)]))
def test_success_wins_in_whatever_order_the_records_arrive(records):
    assert last_of(records) == ("SUCCESS", 1)


@laws
@given(st.permutations([("STARTED", 0), ("RETRY", 0), ("STARTED", 1), ("PROGRESS", 1), ("FAILURE", 1)]))
def test_a_late_report_of_an_earlier_attempt_does_not_hide_the_failure_of_the_last(records):
    assert last_of(records) == ("FAILURE", 1)


def test_the_life_of_a_task_that_is_retried():
    life = [
        ("PENDING", 0),
        ("RECEIVED", 0),
        ("STARTED", 0),
        ("PROGRESS", 0),
        ("RETRY", 0),
        ("STARTED", 1),
        ("SUCCESS", 1),
    ]

    for before, after in pairwise(life):
        assert replaces(after, before), (before, after)
