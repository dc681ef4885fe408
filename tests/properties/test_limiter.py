"""Token buckets, against a bucket of fractions."""

import random
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from celery_rs import _core
from tests.oracles.rate import Bucket


def limited(rate: str | float, now: float = 0.0) -> _core.RateLimiter:
    limiter = _core.RateLimiter()
    limiter.set("t", rate, now)
    return limiter


def test_a_bucket_starts_full_and_holds_one_token() -> None:
    limiter = limited("2/s", now=100.0)

    assert limiter.take("t", 100.0) == 0.0
    assert limiter.take("t", 100.0) == 0.5
    assert [limiter.take("t", 200.0), limiter.take("t", 200.0)] == [0.0, 0.5]


def test_waiting_as_long_as_told_is_enough() -> None:
    now = 86_400.1
    limiter = limited("7/m", now)
    for _ in range(1_000):
        assert limiter.take("t", now) == 0.0
        while wait := limiter.take("t", now):
            now += wait
        limiter.set("t", "7/m", now)
        now += limiter.take("t", now)


def test_booked_tokens_are_due_one_after_the_other() -> None:
    limiter = limited("10/s")

    assert [limiter.book("t", 0.0) for _ in range(3)] == pytest.approx([0.0, 0.1, 0.2])
    assert limiter.take("t", 0.0) == pytest.approx(0.3)


def test_a_changed_rate_forgives_no_debt_and_grants_no_token() -> None:
    limiter = limited("10/s")
    for _ in range(6):
        limiter.book("t", 0.0)

    limiter.set("t", "1/s", 0.0)

    assert limiter.take("t", 0.0) == pytest.approx(6.0)


def test_a_task_without_a_rate_is_not_limited() -> None:
    limiter = limited("1/s")

    assert [limiter.take("other", 5.0) for _ in range(3)] == [0.0] * 3
    assert (limiter.book("other", 5.0), limiter.rate("other")) == (5.0, 0.0)


def test_a_bad_rate_changes_nothing() -> None:
    limiter = limited("2/s")

    with pytest.raises(ValueError, match="got '5/x'"):
        limiter.set("t", "5/x", 0.0)

    assert limiter.rate("t") == 2.0


@pytest.mark.parametrize("now", [float("nan"), float("inf"), float("-inf"), -1e308, 1e308])
def test_no_time_is_too_strange(now: float) -> None:
    limiter = limited("1/m")

    assert limiter.take("t", now) >= 0.0
    assert limiter.take("t", 0.0) >= 0.0
    limiter.set("t", "1/h", now)
    assert limiter.book("t", now) is not None


RATES = [0.0, 0.01, 1 / 60, 0.3, 1.0, 7.5, 1000.0]


# 100 seeds of 20 buckets with 10 steps each.
@given(st.integers(0, 2**32 - 1))
@settings(max_examples=100)
def test_a_limiter_does_what_its_oracle_does(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(20):
        rate, now = chance.choice(RATES), chance.uniform(0, 1e5)
        limiter, bucket = limited(rate, now), Bucket(Fraction(rate), Fraction(now))
        for _ in range(10):
            now += chance.choice([0.0, 0.0, -3.0, chance.expovariate(1 / 5)])
            match chance.randrange(4):
                case 0:
                    rate = chance.choice(RATES)
                    # A limit that comes anew starts with a full bucket, unless tokens are owed.
                    if not bucket.rate and bucket.tokens == 1:
                        bucket.seen = Fraction(now)
                    limiter.set("t", rate, now)
                    bucket.set(rate, now)
                    assert limiter.rate("t") == rate
                case 1:
                    assert limiter.book("t", now) == pytest.approx(booked(bucket, now), rel=1e-9)
                case _:
                    took(limiter, bucket, now)


def booked(bucket: Bucket, now: float) -> float:
    return bucket.book(now) if bucket.rate else now


def took(limiter: _core.RateLimiter, bucket: Bucket, now: float) -> None:
    wait = limiter.take("t", now)
    before = bucket.tokens
    expected = bucket.take(now)
    if (wait == 0.0) != (expected == 0.0):
        # A step before or after the token is free, where the floats have rounded.
        assert wait + expected < 1e-6
        bucket.tokens = before if wait else before - 1
    assert wait == pytest.approx(expected, rel=1e-6, abs=1e-6)
