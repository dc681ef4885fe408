"""What the loop waits on."""

import os

import pytest

from celery_rs.worker.watch import Watch


@pytest.mark.parametrize("seconds", [30 * 86_400.0, 1e300, float("inf")])
def test_a_wait_may_be_of_any_length(seconds):
    watch = Watch()
    readable, writable = os.pipe()
    heard: list[bytes] = []
    watch(readable, lambda: heard.append(os.read(readable, 1)))
    os.write(writable, b"x")

    watch.wait(seconds)

    assert heard == [b"x"]
    watch.close()
    os.close(readable)
    os.close(writable)
