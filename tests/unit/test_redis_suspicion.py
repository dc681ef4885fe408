"""When a consumer whose lease is over is dead, and when it only looks so."""

from celery_rs.transports.redis.suspicion import CLOSED, Suspicion

LEASE = 10.0
OVER = {b"w": 90.0}


def calm() -> Suspicion:
    """One that has looked around for long."""
    suspicion = Suspicion(LEASE)
    suspicion.dead({}, 0.0)
    return suspicion


def test_two_looks_half_a_lease_apart_are_a_death() -> None:
    suspicion = calm()

    assert suspicion.dead(OVER, 100.0) == []
    assert suspicion.dead(OVER, 104.9) == []
    assert suspicion.dead(OVER, 105.0) == [b"w"]


def test_a_renewal_in_between_starts_the_count_anew() -> None:
    suspicion = calm()
    suspicion.dead(OVER, 100.0)

    assert suspicion.dead({b"w": 103.0}, 106.0) == []
    assert suspicion.dead({b"w": 103.0}, 111.0) == [b"w"]


def test_who_is_not_over_in_between_is_forgotten() -> None:
    suspicion = calm()
    suspicion.dead(OVER, 100.0)
    suspicion.dead({}, 103.0)

    assert suspicion.dead(OVER, 106.0) == []


def test_nobody_is_dead_within_a_lease_of_a_new_connection() -> None:
    suspicion = calm()
    suspicion.dead(OVER, 100.0)
    suspicion.disturbed()

    assert suspicion.dead(OVER, 105.0) == []
    assert suspicion.dead(OVER, 114.9) == []
    assert suspicion.dead(OVER, 115.0) == []
    assert suspicion.dead(OVER, 120.0) == [b"w"]


def test_a_clock_that_goes_back_is_a_disturbance() -> None:
    suspicion = calm()
    suspicion.dead(OVER, 100.0)

    assert suspicion.dead(OVER, -3500.0) == []
    assert suspicion.dead(OVER, -3495.0) == []


def test_who_has_closed_is_dead_at_once() -> None:
    suspicion = Suspicion(LEASE)

    assert suspicion.dead({b"w": CLOSED, b"v": 90.0}, 100.0) == [b"w"]
