"""How many messages the queues of a RabbitMQ push: their share of many, and more of one that is alone busy."""

from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_rs.transports.amqp.session import prefetch_of
from celery_rs.transports.base import Completion
from tests import rabbitmq_vhosts
from tests.conformance.calls import call, ids
from tests.conformance.rabbitmq import QuorumWorld, RabbitWorld
from tests.deadlines import DEADLINE_S

QUEUES = [f"q{number}" for number in range(40)]
ROUNDS = 5


@pytest.fixture(params=[RabbitWorld, QuorumWorld])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RabbitWorld]:
    if not rabbitmq_vhosts.available():
        pytest.skip("no RabbitMQ listens that obeys us")
    world: RabbitWorld = request.param(tmp_path)
    yield world
    world.close()


@given(st.integers(1, 8), st.integers(1, 1000))
def test_what_is_little_is_pushed_exactly(number: int, queues: int) -> None:
    assert prefetch_of(number, queues) == number


@given(st.integers(9, 60_000), st.integers(1, 1000))
def test_all_queues_together_push_what_is_wanted_and_not_many_times_as_much(number: int, queues: int) -> None:
    prefetch = prefetch_of(number, queues)

    assert number <= prefetch * queues
    assert prefetch == 8 or prefetch * queues < number * 4


@given(st.integers(0, 10**6), st.integers(0, 1000))
def test_no_more_is_wanted_than_the_protocol_can_say(number: int, queues: int) -> None:
    assert 0 <= prefetch_of(number, queues) <= 0xFFFF


def test_a_single_busy_queue_of_many_pushes_all_that_is_wanted(world: RabbitWorld) -> None:
    sent = [f"{number}" for number in range(300)]
    consumer = world.consume(*QUEUES)
    world.transport().publish([call(each, QUEUES[7]) for each in sent])

    taken: list[str] = []
    while len(taken) < len(sent):
        deliveries = consumer.receive(len(sent), DEADLINE_S).deliveries
        assert deliveries, f"only {len(taken)} came"
        taken += ids(deliveries)

    assert sorted(taken) == sorted(sent)


def test_what_is_pushed_while_more_and_less_is_wanted_comes_once(world: RabbitWorld) -> None:
    consumer = world.consume(*QUEUES)
    publisher = world.transport()
    sent: list[str] = []
    taken: list[str] = []
    limits = cycle((2, 500, 9, 5, 100))
    for number in range(ROUNDS):
        calls = [f"{number}.{queue}.{each}" for queue in QUEUES for each in range(6)]
        publisher.publish([call(each, each.split(".")[1]) for each in calls])
        sent += calls
        while len(taken) < len(sent):
            deliveries = consumer.receive(next(limits), DEADLINE_S).deliveries
            assert deliveries, f"only {len(taken)} of {len(sent)} came"
            consumer.finish([Completion(delivery.tag) for delivery in deliveries])
            taken += ids(deliveries)

    assert sorted(taken) == sorted(sent)


def test_who_wants_nothing_is_pushed_nothing(world: RabbitWorld) -> None:
    consumer = world.consume("q")
    consumer.receive(1, 0)
    consumer.receive(0, 0)
    world.transport().publish([call(f"{number}", "q") for number in range(5)])

    consumer.receive(0, 0)
    other = world.consume("q")
    taken: list[str] = []
    while len(taken) < 5 and (deliveries := other.receive(5, DEADLINE_S).deliveries):
        taken += ids(deliveries)

    assert len(taken) == 5


def test_a_queue_that_is_left_keeps_what_it_had_pushed(world: RabbitWorld) -> None:
    consumer = world.consume("q", "other")
    consumer.receive(50, 0)  # both push from here on
    world.transport().publish([call(f"{number}", "q") for number in range(40)])
    consumer.listen_to(drop=["q"])

    after = world.consume("q")
    taken: list[str] = []
    while len(taken) < 40 and (deliveries := after.receive(40, DEADLINE_S).deliveries):
        taken += ids(deliveries)

    assert len(taken) == 40
    assert not consumer.receive(50, 0).deliveries
