"""What a consumer of a RabbitMQ has in hand, without a RabbitMQ."""

from collections import deque
from types import SimpleNamespace
from typing import Any

from celery_rs.transports.amqp.hand import Hand


def session(epoch: int, *numbers: int) -> Any:
    items = [("q", ("deliver", 1, "1", number, False, "", "q", b"\0\0", b"[]")) for number in numbers]
    return SimpleNamespace(epoch=epoch, arrived=deque(items), own_arrived=deque(), work=None, own=None)


def test_what_came_by_a_connection_that_another_thread_has_found_lost_is_not_taken() -> None:
    hand, first, second = Hand("me"), session(1, 1), session(2)
    hand.hold_on(first, back_by=0.0)
    hand.let_go(first)
    hand.hold_on(second, back_by=0.0)

    taken = hand.take(first, 10)

    assert (taken, len(hand)) == ([], 0)
