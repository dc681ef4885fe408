"""Signals: who is called, when, and what a receiver that fails does to the others."""

import gc
import logging
from typing import Any

import pytest

from celery_rs import signals
from celery_rs.signals import Signal


@pytest.fixture
def happened() -> Signal:
    return Signal("happened", ("what",))


def test_receivers_hear_the_sender_and_the_arguments(happened: Signal) -> None:
    heard: list[Any] = []
    happened.connect(lambda sender, what, **_: heard.append((sender, what)), weak=False)

    happened.send("here", what=1)

    assert heard == [("here", 1)]


def test_connect_is_a_decorator_with_and_without_arguments(happened: Signal) -> None:
    @happened.connect
    def one(**_: Any) -> int:
        return 1

    @happened.connect(sender="there")
    def two(**_: Any) -> int:
        return 2

    assert happened.send("here") == [(one, 1)]
    assert happened.send("there") == [(one, 1), (two, 2)]


def test_a_receiver_of_one_sender_hears_no_other(happened: Signal) -> None:
    one, other = object(), object()
    happened.connect(lambda **_: True, sender=one, weak=False)

    assert [len(happened.send(sender)) for sender in (one, other)] == [1, 0]
    assert [happened.has_listeners(sender) for sender in (one, other)] == [True, False]


def test_what_a_receiver_raises_is_logged_and_returned(happened: Signal, caplog: pytest.LogCaptureFixture) -> None:
    error = ValueError("no")

    @happened.connect
    def fails(**_: Any) -> None:
        raise error

    @happened.connect
    def works(**_: Any) -> str:
        return "fine"

    with caplog.at_level(logging.ERROR):
        assert happened.send(None) == [(fails, error), (works, "fine")]
    assert "happened" in caplog.text


def test_receivers_are_held_weakly_unless_asked(happened: Signal) -> None:
    class Owner:
        def hear(self, **_: Any) -> None:
            pass

    owner = Owner()
    happened.connect(owner.hear)
    assert happened.has_listeners()

    del owner
    gc.collect()

    assert not happened.has_listeners()
    assert happened.send(None) == []


def test_connecting_twice_calls_once(happened: Signal) -> None:
    def hear(**_: Any) -> None:
        pass

    happened.connect(hear)
    happened.connect(hear)
    happened.connect(lambda **_: 1, weak=False, dispatch_uid="one")
    happened.connect(lambda **_: 2, weak=False, dispatch_uid="one")

    assert [answer for _, answer in happened.send(None)] == [None, 1]


def test_disconnect_says_whether_it_was_connected(happened: Signal) -> None:
    def hear(**_: Any) -> None:
        pass

    happened.connect(hear)

    assert happened.disconnect(hear) is True
    assert happened.disconnect(hear) is False
    assert happened.receivers == ()


def test_retry_calls_until_it_works(happened: Signal) -> None:
    calls: list[int] = []

    @happened.connect(retry=True)
    def third_time_lucky(**_: Any) -> str:
        calls.append(1)
        if len(calls) < 3:
            raise OSError("not yet")
        return "done"

    assert happened.send(None) == [(third_time_lucky, "done")]


def test_a_receiver_without_keyword_arguments_is_refused(happened: Signal) -> None:
    with pytest.raises(ValueError, match="keyword arguments"):
        happened.connect(lambda sender: None)


def test_all_of_celerys_signals_are_there() -> None:
    assert len(signals.SIGNALS) == 34
    assert all(getattr(signals, name) is signal for name, signal in signals.SIGNALS.items())
