"""Times in records: written as Python's datetime writes them."""

from hypothesis import example, given
from hypothesis import strategies as st

from celery_rs.wire.meta import instant, iso


@given(st.floats(allow_nan=False) | st.floats(1.7e9, 1.9e9) | st.integers(-(10**11), 10**12).map(float))
@example(1795352211.9999996)
@example(1795352211.9999994)
@example(float("inf"))
def test_times_are_written_as_datetime_does(moment: float) -> None:
    assert iso(moment) == instant(moment).isoformat()
