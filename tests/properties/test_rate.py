"""Rates as users write them, against their oracle."""

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from celery_rs import _core
from tests.oracles import rate as oracle


@pytest.mark.parametrize(
    ("rate", "per_second"),
    [
        ("10/m", 10 / 60),
        ("2/s", 2),
        ("5/h", 5 / 3600),
        ("1/d", 1 / 86400),
        ("0.5/s", 0.5),
        ("10", 10),
        (3, 3),
        (0.25, 0.25),
    ],
)
def test_a_rate_is_tokens_per_second(rate: str | float, per_second: float) -> None:
    assert _core.parse_rate(rate) == per_second


@pytest.mark.parametrize("rate", [None, 0, 0.0, "", "0", "0/m"])
def test_none_and_zero_are_no_limit(rate: str | float | None) -> None:
    assert _core.parse_rate(rate) == 0.0


@pytest.mark.parametrize(
    "rate", ["5/x", "abc", "10/", "1/m/s", -1, "-1/m", float("nan"), "inf", 10**400, True, "5/M", [], b"1/s"]
)
def test_anything_else_is_refused_with_what_came(rate: Any) -> None:
    with pytest.raises(ValueError) as caught:
        _core.parse_rate(rate)

    expected = "rate_limit must look like '10/m' (per s, m, h or d) or a number per second, got "
    assert str(caught.value) == expected + repr(rate)


NUMBERS = (
    st.floats(allow_nan=False).map(repr)
    | st.integers(-5, 10**6).map(str)
    | st.sampled_from(["1e400", ".5", "5.", "+1", "1_0", "", "é"])
)
UNITS = st.sampled_from(["", "/s", "/m", "/h", "/d", "/", "/x", "/S", "/m/m", " /s", "/s "])
WRITTEN = st.builds("{}{}".format, NUMBERS, UNITS)


@given(st.lists(WRITTEN | st.text(max_size=6) | st.floats() | st.integers() | st.none() | st.booleans(), max_size=40))
@settings(max_examples=600)  # of some 17 rates each
@example(["1e999", "nan", "-0", -0.0, "١/s", "\x1f1/s"])
def test_ten_thousand_rates_are_read_as_the_oracle_reads_them(rates: list[str | float | None]) -> None:
    for rate in rates:
        try:
            expected: float | None = oracle.parse_rate(rate)
        except ValueError:
            expected = None

        try:
            read: float | None = _core.parse_rate(rate)
        except ValueError:
            read = None

        assert read == expected, rate
