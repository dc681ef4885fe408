"""How jobs are shared among children."""

from hypothesis import given
from hypothesis import strategies as st

from celery_rs.worker.pools.shares import shares

ROOMS = st.lists(st.integers(1, 200), max_size=6)


@given(jobs=st.integers(0, 500), rooms=ROOMS, least=st.integers(0, 20))
def test_all_that_find_room_are_given_and_nobody_gets_too_many(jobs: int, rooms: list[int], least: int) -> None:
    given = list(shares(jobs, rooms, least))

    assert sum(given) == min(jobs, sum(rooms))
    assert all(0 < share <= room for share, room in zip(given, rooms, strict=False))


@given(jobs=st.integers(0, 500), children=st.integers(1, 6))
def test_with_room_for_all_they_are_shared_evenly(jobs: int, children: int) -> None:
    given = list(shares(jobs, [500] * children, 0))

    assert not given or max(given) - min(given) <= 1


@given(jobs=st.integers(1, 16), children=st.integers(1, 6))
def test_what_is_soon_done_goes_to_one(jobs: int, children: int) -> None:
    assert list(shares(jobs, [128] * children, 16)) == [jobs]
