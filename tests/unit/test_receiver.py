"""The receiver: it receives what it was allowed, by who knew what had come, and outlives its broker's failures."""

import threading
import time
from collections.abc import Iterator, Sequence
from queue import Queue
from typing import Any

import pytest

from celery_rs.errors import ImproperlyConfigured, NotSupported, OperationalError
from celery_rs.transports import Features, QueueRefused, Received
from celery_rs.wire import Queue as WireQueue
from celery_rs.worker.inbox import Delivered, Inbox, ThreadDied
from celery_rs.worker.receiver import PORTION, Receiver
from celery_rs.worker.reconnect import Patience, Rising, Tries
from tests.deadlines import DEADLINE_S, eventually
from tests.messages import delivery


class FakeConsumer:
    """Answers each `receive` with what the test has put into `answers`; notes the limits."""

    def __init__(self) -> None:
        self.limits: list[int] = []
        self.answers: Queue[Received | Exception] = Queue()
        self.asked = threading.Semaphore(0)

    def receive(self, limit: int, timeout: float) -> Received:
        self.limits.append(limit)
        self.asked.release()
        answer = self.answers.get()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def wake(self) -> None:
        self.answers.put(Received(()))


@pytest.fixture
def consumer() -> FakeConsumer:
    return FakeConsumer()


@pytest.fixture
def box() -> Iterator[Inbox]:
    box = Inbox()
    yield box
    box.close()


@pytest.fixture
def receiver(consumer: Any, box: Inbox) -> Iterator[Receiver]:
    receiver = Receiver(consumer, box, Tries("memory://"))
    receiver.start()
    yield receiver
    receiver.stop()


def test_an_allowance_that_knows_nothing_of_the_last_delivery_is_void(
    receiver: Receiver, consumer: FakeConsumer, box: Inbox
) -> None:
    (one,) = received = [delivery()]
    receiver.allow(1, handled=0)
    consumer.answers.put(Received(received))
    eventually(lambda: box.take() == [Delivered([one], (), 1)])

    receiver.allow(9, handled=0)
    assert consumer.asked.acquire(timeout=DEADLINE_S)
    assert not consumer.asked.acquire(timeout=0.05)  # the thread had time to take it

    receiver.allow(2, handled=1)
    assert consumer.asked.acquire(timeout=DEADLINE_S)
    assert consumer.limits == [1, 2]


def test_what_is_allowed_comes_in_portions(receiver: Receiver, consumer: FakeConsumer, box: Inbox) -> None:
    receiver.allow(2 * PORTION + 1, handled=0)
    for _ in range(2):
        consumer.answers.put(Received([delivery()] * PORTION))

    assert all(consumer.asked.acquire(timeout=DEADLINE_S) for _ in range(3))
    assert consumer.limits == [PORTION, PORTION, 1]


def test_what_still_comes_may_be_lowered_by_who_does_not_know_what_came(
    receiver: Receiver, consumer: FakeConsumer, box: Inbox
) -> None:
    receiver.allow(3 * PORTION, handled=0)
    assert consumer.asked.acquire(timeout=DEADLINE_S)
    consumer.answers.put(Received([delivery()] * PORTION))
    assert consumer.asked.acquire(timeout=DEADLINE_S)  # the first portion is not dealt with, the second on its way

    receiver.allow(PORTION + 3, handled=0)
    consumer.answers.put(Received([delivery()] * PORTION))

    assert consumer.asked.acquire(timeout=DEADLINE_S)
    assert consumer.limits == [PORTION, PORTION, 3]


def test_where_less_came_than_was_asked_for_the_loop_says_how_much_more(
    receiver: Receiver, consumer: FakeConsumer, box: Inbox
) -> None:
    receiver.allow(3, handled=0)
    consumer.answers.put(Received([delivery()]))
    eventually(lambda: len(box.take()) == 1)

    assert consumer.asked.acquire(timeout=DEADLINE_S)
    assert not consumer.asked.acquire(timeout=0.05)  # the thread had time to ask


def test_a_broker_that_fails_is_asked_again(receiver: Receiver, consumer: FakeConsumer, box: Inbox) -> None:
    consumer.answers.put(OperationalError("it is away"))
    consumer.answers.put(Received((), ["lost"]))

    receiver.allow(3, handled=0)

    eventually(lambda: box.take() == [Delivered((), ["lost"], 3)])
    assert consumer.limits == [3, 3]


def test_nothing_is_received_after_the_stop(receiver: Receiver, consumer: FakeConsumer) -> None:
    receiver.stop()

    receiver.allow(1, handled=0)

    assert consumer.limits == []


def test_a_broker_that_was_asked_often_enough_ends_the_worker(consumer: Any, box: Inbox) -> None:
    receiver = Receiver(consumer, box, Tries("memory://", Patience(1), Rising(0.0)))
    receiver.start()
    consumer.answers.put(OperationalError("it is away"))
    consumer.answers.put(OperationalError("it is gone"))

    receiver.allow(3, handled=0)

    eventually(lambda: box.take() == [ThreadDied("the broker cannot be reached (it is gone)")])
    receiver.stop()


def test_a_broker_that_does_not_answer_is_not_waited_for_without_end(consumer: Any, box: Inbox) -> None:
    consumer.wake = lambda: None  # it is deaf
    receiver = Receiver(consumer, box, Tries("memory://"))
    receiver.start()
    receiver.allow(1, handled=0)
    assert consumer.asked.acquire(timeout=DEADLINE_S)
    began = time.monotonic()

    receiver.stop(0.05)

    assert time.monotonic() - began < DEADLINE_S / 2
    consumer.answers.put(Received(()))


class ChoosyTransport:
    """Refuses some queues for good."""

    features = Features(delays=True, facts=False, browse=False, once=False, ages=False)

    def __init__(self, refused: dict[str, Exception]) -> None:
        self._refused = refused

    def declare(self, queues: Sequence[WireQueue]) -> None:
        for queue in queues:
            if queue.name in self._refused:
                raise self._refused[queue.name]


@pytest.mark.parametrize(
    "error", [QueueRefused("it is another"), ImproperlyConfigured("too long"), NotSupported("a", "b")]
)
def test_a_queue_that_the_broker_does_not_let_be_used_is_passed_over(
    consumer: Any, box: Inbox, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    listened: list[Sequence[str]] = []
    consumer.listen_to = lambda add, drop: listened.append(add)
    transport: Any = ChoosyTransport({"bad": error})
    receiver = Receiver(consumer, box, Tries("memory://"), transport)
    changed: list[Exception | None] = []

    receiver.listen(add=[WireQueue("bad")], changed=changed.append)
    receiver.listen(add=[WireQueue("good")], changed=changed.append)
    receiver.start()
    eventually(lambda: len(changed) == 2)
    receiver.stop()

    assert (listened, changed) == ([["good"]], [error, None])
    assert [record.getMessage() for record in caplog.records] == [f"consumer: not consuming from 'bad': {error}"]
