"""ISO 8601 times in headers, against Python's `datetime.fromisoformat`."""

from contextlib import suppress
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from celery_rs import _core
from tests.oracles.timestamp import timestamp


@pytest.mark.parametrize(
    "text",
    [
        "2030-01-02",
        "20300102",
        "2030-01-02T03:04:05",
        "2030-01-02 03:04:05.5Z",
        "2030-01-02T03:04:05,123456789+05:30",
        "20300102T030405-0130",
        "2030-W01-3T03",
        "2020W537T2359+00:00:01.5",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59.999999-23:59",
    ],
)
def test_iso_8601_is_read_as_python_reads_it(text: str) -> None:
    assert _core.parse_timestamp(text) == timestamp(text)


def test_a_text_that_is_no_time_is_refused_with_an_example() -> None:
    with pytest.raises(ValueError) as caught:
        _core.parse_timestamp("next week")

    assert str(caught.value) == "time must look like '2030-01-02T03:04:05+00:00' (ISO 8601), got 'next week'"


@given(st.datetimes(timezones=st.none() | st.timezones()))
@settings(max_examples=500)
def test_every_datetime_comes_back_as_its_timestamp(moment: datetime) -> None:
    text = moment.isoformat()

    assert _core.parse_timestamp(text) == pytest.approx(timestamp(text), rel=3e-16, abs=0)


DIGITS = st.integers(0, 99).map("{:02}".format)
PIECES = DIGITS | st.sampled_from(["2030", "-", "-", ":", ":", "T", "W", "+", "Z", ".", ",", " ", "é", "5"])


@given(
    st.lists(PIECES, max_size=16).map("".join)
    | st.builds("2030-01-02T{}".format, st.lists(PIECES, max_size=12).map("".join))
)
@settings(max_examples=2_000)
def test_pieces_in_any_order_are_a_time_exactly_when_the_oracle_says_so(text: str) -> None:
    try:
        expected: float | None = timestamp(text)
    except ValueError:
        expected = None

    try:
        seconds: float | None = _core.parse_timestamp(text)
    except ValueError:
        seconds = None

    assert seconds == expected


@given(st.text())
@settings(max_examples=500)
def test_any_text_is_answered(text: str) -> None:
    with suppress(ValueError):
        assert isinstance(_core.parse_timestamp(text), float)
