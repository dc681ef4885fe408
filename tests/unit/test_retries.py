"""When a failed task runs again."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_rs.errors import Ignore, Reject, Retry, SoftTimeLimitExceeded
from celery_rs.execution import retries


def never(_: int) -> int:
    raise AssertionError("no draw was expected")


@pytest.mark.parametrize(
    ("done", "most", "spent"), [(0, 0, True), (0, 1, False), (2, 3, False), (3, 3, True), (10**6, None, False)]
)
def test_retries_are_spent_when_there_were_as_many_as_allowed(done: int, most: int | None, spent: bool) -> None:
    assert retries.is_spent(done, most) == spent


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (KeyError(), True),
        (ValueError(), False),
        (Ignore(), False),
        (Retry(), False),
        (Reject(), True),
        (SoftTimeLimitExceeded(), True),
    ],
)
def test_celerys_own_ends_are_retried_as_celery_retries_them(error: Exception, wanted: bool) -> None:
    assert retries.wants_retry(error, (Exception,), (ValueError,)) == wanted


def test_nothing_is_retried_where_nothing_is_named() -> None:
    assert not retries.wants_retry(KeyError(), (), ())


def test_the_delay_doubles_up_to_its_most() -> None:
    delays = [retries.backoff(n, 1, 600, False, never) for n in range(12)]

    assert delays == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]


@pytest.mark.parametrize(("factor", "first"), [(True, 1), (5, 5), (2.9, 2), (0.5, 1)])
def test_the_factor_is_cut_to_a_whole_number(factor: float, first: int) -> None:
    assert retries.backoff(0, factor, 600, False, never) == first


@given(st.integers(0, 10**6), st.floats(0, 1e6), st.integers(0, 10**6), st.integers(0))
def test_jitter_draws_from_nothing_to_the_delay(done: int, factor: float, most: int, seed: int) -> None:
    delay = retries.backoff(done, factor, most, False, never)

    assert 0 <= retries.backoff(done, factor, most, True, lambda n: seed % n) <= delay <= most


def test_options_for_retry_come_from_the_task() -> None:
    plain = SimpleNamespace(retry_kwargs={"max_retries": 9, "countdown": 4})
    backing = SimpleNamespace(retry_kwargs={"max_retries": 9}, retry_backoff=2, retry_backoff_max=5, retry_jitter=False)

    assert retries.autoretry_options(plain, 3, never) == {"max_retries": 9, "countdown": 4}
    assert retries.autoretry_options(backing, 3, never) == {"max_retries": 9, "countdown": 5}


def test_exceptions_are_given_as_one_or_several() -> None:
    assert retries.exception_classes(KeyError) == (KeyError,)
    assert retries.exception_classes([KeyError, ValueError]) == (KeyError, ValueError)
    assert retries.exception_classes(None) == ()
    with pytest.raises(TypeError, match="an exception class was expected, got 'KeyError'"):
        retries.exception_classes(["KeyError"])
