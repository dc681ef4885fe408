"""What was revoked: for how long, how many, and by which stamps."""

import json

import pytest

from celery_rs.errors import ImproperlyConfigured
from celery_rs.worker.revokes import Revokes, revokes_from_environment
from tests.messages import envelope


def stamped(**stamps: object) -> bytes:
    return json.dumps({"stamped_headers": list(stamps), "stamps": stamps}).encode()


def test_an_id_is_revoked_until_its_time_is_over() -> None:
    revokes = Revokes(expires=10.0)
    revokes.add(["a"], now=100.0)
    revokes.add(["b"], now=100.0, until=105.0)

    assert revokes.ids(104.0) == ["a", "b"]
    assert revokes.match(envelope(id="a"), 109.0) is not None
    assert revokes.match(envelope(id="a"), 110.0) is None
    assert revokes.ids(106.0) == ["a"]


def test_beyond_the_most_the_oldest_are_forgotten() -> None:
    revokes = Revokes(most=2)
    revokes.add(["a", "b"], now=0.0)
    revokes.add(["a", "c"], now=1.0)

    assert revokes.ids(2.0) == ["a", "c"]


def test_what_has_expired_goes_before_what_has_not() -> None:
    revokes = Revokes(most=2)
    revokes.add(["a"], now=0.0)
    revokes.add(["b"], now=0.0, until=1.0)
    revokes.add(["c"], now=2.0)

    assert revokes.ids(2.0) == ["a", "c"]


def test_a_revoke_can_be_taken_back() -> None:
    revokes = Revokes()
    revokes.add(["a"], now=0.0)
    version = revokes.version

    revokes.drop("a")
    revokes.drop("a")

    assert (revokes.active, revokes.version) == (False, version + 1)


@pytest.mark.parametrize(
    ("stamps", "found"),
    [
        ({"customer": 7}, {"customer": 7}),
        ({"customer": "7"}, {"customer": "7"}),
        ({"customer": [1, 7]}, {"customer": [1, 7]}),
        ({"customer": 8}, None),
        ({"customer": {"7": 7}}, None),
        ({"other": 7}, None),
        ({}, None),
    ],
)
def test_a_stamp_is_revoked_by_its_value(stamps: dict[str, object], found: object) -> None:
    revokes = Revokes()
    revokes.add_stamps({"customer": ["7"], "empty": []})

    match = revokes.match(envelope(stamps=json.dumps(stamps).encode()), 0.0)

    assert (match and match.stamps) == found


def test_the_bounds_come_from_the_environment() -> None:
    revokes = revokes_from_environment({"CELERY_WORKER_REVOKES_MAX": "1", "CELERY_WORKER_REVOKE_EXPIRES": "2.5"})
    revokes.add(["a", "b"], now=0.0)

    assert revokes.ids(2.0) == ["b"]
    assert revokes.ids(3.0) == []


@pytest.mark.parametrize("given", ["many", "-1", "nan", "inf", ""])
@pytest.mark.parametrize("name", ["CELERY_WORKER_REVOKES_MAX", "CELERY_WORKER_REVOKE_EXPIRES"])
def test_a_bound_that_is_no_number_is_refused(name: str, given: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=f"{name} must be a number, 0 or more, got {given!r}"):
        revokes_from_environment({name: given})
