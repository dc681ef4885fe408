"""When a pool grows and shrinks: a decider with a clock of the test's own."""

import pytest

from celery_rs.errors import ImproperlyConfigured
from celery_rs.worker.autoscale import KEEPALIVE_S, Autoscale, keepalive


def test_it_grows_at_once_to_what_is_in_hand_and_no_further_than_the_most() -> None:
    scale = Autoscale(most=5, least=1)

    assert [scale.size(present=1, in_hand=in_hand, now=0.0) for in_hand in (0, 1, 3, 9)] == [1, 1, 3, 5]


def test_it_shrinks_only_when_nothing_has_grown_for_a_while() -> None:
    scale = Autoscale(most=5, least=1, keepalive=30.0)
    scale.size(present=1, in_hand=5, now=100.0)

    assert [scale.size(present=5, in_hand=0, now=now) for now in (101.0, 129.9, 130.0)] == [5, 5, 1]


def test_what_comes_in_keeps_it_from_shrinking() -> None:
    scale = Autoscale(most=5, least=1, keepalive=30.0)
    scale.size(present=1, in_hand=5, now=100.0)
    scale.received(now=120.0)

    assert [scale.size(present=5, in_hand=2, now=now) for now in (149.9, 150.0)] == [5, 2]


def test_it_says_when_to_look_again_while_it_could_shrink() -> None:
    scale = Autoscale(most=5, least=2, keepalive=30.0)
    scale.received(now=100.0)

    assert [scale.due(present, in_hand) for present, in_hand in ((5, 0), (5, 5), (2, 0))] == [130.0, None, None]


def test_new_bounds_hold_at_once() -> None:
    scale = Autoscale(most=5, least=1)
    scale.received(now=100.0)
    scale.most = 3

    assert scale.size(present=5, in_hand=5, now=100.0) == 3


def test_the_time_to_stay_large_comes_from_the_environment() -> None:
    assert [keepalive({}), keepalive({"AUTOSCALE_KEEPALIVE": "2.5"})] == [KEEPALIVE_S, 2.5]


@pytest.mark.parametrize("given", ["soon", "0", "-1", "inf", "nan"])
def test_a_time_that_is_none_is_refused(given: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=f"AUTOSCALE_KEEPALIVE: expected seconds above 0, got '{given}'"):
        keepalive({"AUTOSCALE_KEEPALIVE": given})
