"""Chords: each header member is counted once, and one claim at a time may publish the body."""

import pytest

from celery_rs.transports import Completion
from celery_rs.wire import ChordPart

pytestmark = pytest.mark.needs("store", "chords")


def part(index: int, group: str = "group", state: str = "SUCCESS", result: bytes = b"1") -> ChordPart:
    return ChordPart(group, f"task-{index}", index, state, result)


def test_a_complete_chord_is_claimed_with_its_parts_in_order(backend):
    backend.open_chord("group", 3)

    assert not backend.claim_chords([part(2)], 10.0)
    assert not backend.claim_chords([part(0)], 10.0)
    (claim,) = backend.claim_chords([part(1)], 10.0)

    assert claim.group == "group"
    assert list(claim.parts) == [part(0), part(1), part(2)]


def test_members_without_an_index_come_last(backend):
    backend.open_chord("group", 2)
    unplaced = part(7)._replace(index=None)

    (claim,) = backend.claim_chords([unplaced, part(1)], 10.0)

    assert list(claim.parts) == [part(1), unplaced]


def test_a_failed_member_counts(backend):
    backend.open_chord("group", 1)
    failed = part(0, state="FAILURE", result=b'{"exc_type": "ValueError"}')

    (claim,) = backend.claim_chords([failed], 10.0)

    assert list(claim.parts) == [failed]


def test_repeating_a_part_changes_nothing(backend):
    backend.open_chord("group", 2)
    backend.claim_chords([part(0), part(0)], 10.0)
    backend.claim_chords([part(0, state="FAILURE", result=b"late")], 10.0)

    (claim,) = backend.claim_chords([part(1)], 10.0)

    assert list(claim.parts) == [part(0), part(1)]


def test_a_claimed_chord_is_not_claimed_again(world, backend):
    backend.open_chord("group", 1)
    assert backend.claim_chords([part(0)], 10.0)

    assert not world.backend().claim_chords([part(0)], 10.0)


def test_a_claim_lapses(world, backend):
    backend.open_chord("group", 1)
    (first,) = backend.claim_chords([part(0)], 10.0)
    world.pass_time(11)

    (second,) = backend.claim_chords([part(0)], 10.0)

    assert not first.renew(10.0)
    assert second.renew(10.0)
    first.close(published=False)
    assert not backend.claim_chords([part(0)], 10.0), "only its holder can let go of a claim"


def test_a_renewed_claim_does_not_lapse(world, backend):
    backend.open_chord("group", 1)
    (claim,) = backend.claim_chords([part(0)], 10.0)
    world.pass_time(8)
    assert claim.renew(10.0)
    world.pass_time(8)

    assert not backend.claim_chords([part(0)], 10.0)


def test_a_claim_that_lapsed_unnoticed_can_be_renewed(world, backend):
    backend.open_chord("group", 1)
    (claim,) = backend.claim_chords([part(0)], 10.0)
    world.pass_time(11)

    assert claim.renew(10.0)
    assert not backend.claim_chords([part(0)], 10.0)


def test_a_published_chord_is_over(world, backend):
    backend.open_chord("group", 1)
    (claim,) = backend.claim_chords([part(0)], 10.0)

    claim.close(published=True)
    world.pass_time(60)

    assert not backend.claim_chords([part(0)], 10.0)
    assert not claim.renew(10.0)


def test_a_chord_whose_claim_was_let_go_may_be_claimed_at_once(backend):
    backend.open_chord("group", 1)
    (claim,) = backend.claim_chords([part(0)], 10.0)

    claim.close(published=False)

    (again,) = backend.claim_chords([part(0)], 10.0)
    assert list(again.parts) == [part(0)]


def test_several_chords_are_claimed_at_once(backend):
    backend.open_chord("one", 1)
    backend.open_chord("two", 2)
    backend.open_chord("three", 1)

    claims = backend.claim_chords([part(0, "one"), part(0, "two"), part(0, "three")], 10.0)

    assert [claim.group for claim in claims] == ["one", "three"]


def test_a_part_may_come_before_its_chord_is_opened(backend):
    assert not backend.claim_chords([part(0)], 10.0)

    backend.open_chord("group", 2)

    assert backend.claim_chords([part(1)], 10.0)


def test_the_parts_that_consumers_finish_are_counted(backend, take, consumer):
    assert consumer.commits(backend)
    backend.open_chord("group", 2)
    tags = [take(f"task-{index}").tag for index in range(2)]
    consumer.finish([Completion(tag, part=part(index)) for index, tag in enumerate(tags)])

    (claim,) = backend.claim_chords([part(1)], 10.0)

    assert list(claim.parts) == [part(0), part(1)]


@pytest.mark.parametrize("size", [0, 1])
def test_an_open_chord_is_not_claimed_without_a_part_of_it(backend, size):
    backend.open_chord("group", size)

    assert not backend.claim_chords([part(0, "another")], 10.0)
