"""The emitter: nobody waits for it, and what it loses it counts."""

import logging
import threading
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import uuid4

import pytest

from celery_rs.errors import OperationalError
from celery_rs.events import Emitter
from celery_rs.transports.memory import MemoryTransport
from celery_rs.wire import Exchange, LamportClock, Unreadable, event_exchange, open_events
from tests.deadlines import DEADLINE_S

EVENTS = event_exchange("celeryev")


class Flaky(MemoryTransport):
    """A broker that is away until it is let back; it says when it was asked for."""

    def __init__(self) -> None:
        super().__init__(uuid4().hex)
        self.back = threading.Event()
        self.asked = threading.Semaphore(0)

    def announce(self, exchange: Exchange, routing_key: str, envelopes: Sequence[bytes], **how: Any) -> None:
        self.asked.release()
        if not self.back.is_set():
            raise OperationalError("the broker is away")
        super().announce(exchange, routing_key, envelopes, **how)


@pytest.fixture
def broker() -> Flaky:
    return Flaky()


@pytest.fixture
def emitter(broker: Flaky) -> Iterator[Emitter]:
    emitter = Emitter(broker, LamportClock(), "w1@h", EVENTS, most=3)
    yield emitter
    emitter.give_up()


def running(emitter: Emitter) -> threading.Thread:
    thread = threading.Thread(target=emitter.run, daemon=True)
    thread.start()
    return thread


def heard(raw: Sequence[bytes]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for envelope in raw:
        events = open_events(envelope)
        assert not isinstance(events, Unreadable)
        found += events
    return found


def test_events_are_told_in_order_with_a_rising_clock(broker: Flaky, emitter: Emitter) -> None:
    broker.back.set()
    subscription = broker.subscribe(EVENTS, "#")
    for number in range(3):
        emitter.emit("task-started", {"uuid": str(number)})
    emitter.finish()

    running(emitter).join(DEADLINE_S)

    events = heard(subscription.receive(0))
    assert [(event["uuid"], event["clock"]) for event in events] == [("0", 1), ("1", 2), ("2", 3)]


def test_events_that_gathered_travel_together(broker: Flaky, emitter: Emitter) -> None:
    broker.back.set()
    subscription = broker.subscribe(EVENTS, "task.multi")
    emitter.emit("task-started", {"uuid": "1"})
    emitter.emit("task-succeeded", {"uuid": "1"})
    emitter.finish()

    running(emitter).join(DEADLINE_S)

    (one,) = subscription.receive(0)
    assert [event["type"] for event in heard([one])] == ["task-started", "task-succeeded"]


def test_what_finds_no_room_is_dropped_and_counted_and_told_of_later(
    broker: Flaky, emitter: Emitter, caplog: pytest.LogCaptureFixture
) -> None:
    subscription = broker.subscribe(EVENTS, "#")
    emitter.emit("task-started", {"uuid": "first"})
    thread = running(emitter)
    assert all(broker.asked.acquire(timeout=DEADLINE_S) for _ in range(2))  # it has been away once
    for number in range(5):
        emitter.emit("task-started", {"uuid": str(number)})
    assert (emitter.away, emitter.dropped) == (True, 2)

    with caplog.at_level(logging.WARNING, logger="celery.worker.events"):
        broker.back.set()
        emitter.finish()
        thread.join(DEADLINE_S)

    assert [event["uuid"] for event in heard(subscription.receive(0))] == ["first", "0", "1", "2"]
    assert "the broker is back; 2 event(s) were dropped meanwhile" in caplog.text
    assert (emitter.away, emitter.dropped) == (False, 0)


def test_a_broker_that_stays_away_is_given_up(broker: Flaky, emitter: Emitter) -> None:
    emitter.emit("task-started", {"uuid": "1"})
    thread = running(emitter)
    assert broker.asked.acquire(timeout=DEADLINE_S)

    emitter.give_up()

    thread.join(DEADLINE_S)
    assert not thread.is_alive()
