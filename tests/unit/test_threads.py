"""What a stopping worker waits for, and for how long."""

import sys
import threading
import time

import pytest

from celery_rs.worker.handlers import stacks
from celery_rs.worker.threads import Grace, within
from tests.deadlines import SOON_S


def test_what_hangs_is_left_behind_and_named(caplog: pytest.LogCaptureFixture) -> None:
    released = threading.Event()

    def hang() -> None:
        released.wait()

    began = time.monotonic()

    within(0.01, "closing", hang)

    assert time.monotonic() - began < SOON_S
    assert caplog.messages == ["worker: closing takes more than 0.01 seconds; the worker ends without it"]
    released.set()


def test_what_fails_is_named_and_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise OSError("no such file")

    within(5.0, "closing", fail)

    assert caplog.messages == ["worker: closing failed: no such file"]


def test_the_parts_share_their_time_and_each_has_its_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    grace = Grace(5.0, least=1.0)

    left = [grace.left()]
    now = 103.0
    left.append(grace.left())
    now = 109.0
    left.append(grace.left())

    assert left == [5.0, 2.0, 1.0]


def test_stacks_name_each_thread_and_say_where_it_is() -> None:
    text = stacks({1: sys._getframe(), 2: sys._getframe()}, {1: "receiver"})

    assert text.startswith("receiver\n=====")
    assert "\nthread 2\n=====" in text
    assert "test_stacks_name_each_thread" in text
