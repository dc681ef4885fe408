"""The result store of an app that has none."""

from collections.abc import Callable

import pytest

from celery_rs.backends import ResultBackend
from celery_rs.backends.disabled import DisabledBackend
from celery_rs.errors import NotSupported
from celery_rs.wire import TaskResult


def test_storing_does_nothing():
    assert list(DisabledBackend().store([TaskResult("a", "SUCCESS", 0, b"{}")] * 2)) == [False, False]


@pytest.mark.parametrize(
    "ask",
    [
        lambda backend: backend.fetch(["a"]),
        lambda backend: backend.watch(["a"], 1.0),
        lambda backend: backend.forget(["a"]),
        lambda backend: backend.open_chord("group", 2),
        lambda backend: backend.claim_chords([], 1.0),
    ],
)
def test_asking_for_a_result_says_what_to_set(ask: Callable[[ResultBackend], object]):
    with pytest.raises(NotSupported, match=r"result_backend = 'sqlite:///results.sqlite3'") as caught:
        ask(DisabledBackend())

    assert "\n" not in str(caught.value)


def test_closing_and_forking_cost_nothing():
    backend = DisabledBackend()

    backend.after_fork()
    backend.close()

    assert backend.describe() == "disabled"
