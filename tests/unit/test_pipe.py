"""Frames and what is in them."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from celery_rs.execution import Work
from celery_rs.worker.pools.pipe import DOORBELL, Frames, decode_jobs, encode_jobs, frame

payloads = st.lists(st.binary(min_size=1, max_size=50), max_size=8)


@given(payloads, st.lists(st.integers(0, 400), max_size=12))
def test_frames_come_out_whole_wherever_the_stream_is_cut(sent: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(map(frame, sent))
    edges = [0, *sorted(cuts), len(stream)]
    frames = Frames()

    received = [payload for start, end in itertools.pairwise(edges) for payload in frames.feed(stream[start:end])]

    assert received == sent


def test_doorbells_are_not_seen_by_a_reader() -> None:
    assert Frames().feed(DOORBELL + frame(b"payload") + DOORBELL * 3) == [b"payload"]


def test_jobs_cross_with_their_first_number() -> None:
    works = [
        Work(f"tag-{n}", "task", "id", b"{}", b"{}", b"\0body", "application/json", "utf-8", "q", n == 1, True, False)
        for n in range(3)
    ]

    assert decode_jobs(encode_jobs(7, works)) == (7, works)


def test_text_that_is_no_valid_unicode_crosses_as_it_is() -> None:
    work = Work("tag", "\ud800", "id", b"", b"", b"", "", "", "", False, False, False)

    assert decode_jobs(encode_jobs(1, [work])) == (1, [work])
