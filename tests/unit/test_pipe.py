"""Frames and what is in them."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_rs._core import Envelope, open_envelopes
from celery_rs.execution import Work
from celery_rs.worker.pools.base import Job
from celery_rs.worker.pools.pipe import DOORBELL, Frames, decode_jobs, encode, encode_jobs, frame

ENVELOPES = [
    envelope
    for envelope in open_envelopes(
        [
            (
                b'{"body": "e30=", "content-type": "application/json", "headers": {"task": "t", "id": "1", '
                b'"retries": -3, "group": "g", "ignore_result": true}, "properties": {"body_encoding": "base64"}}'
            ),
            b'{"body": "", "headers": {"id": "\\u00e9\\ud83d\\ude00", "task": "\xc3\xa9"}}',
        ]
    )
    if isinstance(envelope, Envelope)
]


def work_of(job: Job) -> Work:
    return Work.of(job.tag, job.envelope, job.queue, redelivered=job.redelivered, announce=job.announce, late=job.late)


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
    jobs = [Job(f"tag-{n}", envelope, "zeitpläne", n == 1, True, False) for n, envelope in enumerate(ENVELOPES)]

    assert decode_jobs(encode_jobs(7, jobs)) == (7, [work_of(job) for job in jobs])


@given(st.integers(1, 2**63 - 1))
def test_the_first_number_may_be_any(first: int) -> None:
    jobs = [Job("tag", ENVELOPES[0], "q", False, False, True)]

    assert encode_jobs(first, jobs) == encode((first, [tuple(work_of(job)) for job in jobs]))


def test_what_is_no_job_is_refused() -> None:
    with pytest.raises(TypeError, match="Envelope"):
        encode_jobs(1, [Job("tag", b"{}", "q", False, False, False)])  # type: ignore[arg-type]
