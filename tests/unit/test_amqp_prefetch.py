"""How many messages the queues of a RabbitMQ push: their share of many, and more of one that is alone busy."""

import math
import time
from collections import Counter
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_rs.errors import ImproperlyConfigured
from celery_rs.transports.amqp.shares import FULL_S, Shares, prefetch_of
from celery_rs.transports.base import Completion
from celery_rs.wire import Queue
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


def test_shares_are_too_small_once_a_queue_had_its_own_in_hand_for_long() -> None:
    shares = Shares()
    shares.begin()

    assert shares.look({"a", "b"}, 1.0) == shares.look({"b", "c"}, 1.4) == 1.0 + FULL_S
    assert shares.look({"a", "c"}, 1.5) == 1.5 + FULL_S  # "b" has given up some of it meanwhile
    assert shares.look(set(), 1.6) == math.inf


@given(st.lists(st.integers(0, 99), max_size=2000))
def test_one_queue_is_alone_busy_if_a_quarter_of_the_last_messages_is_its(came: list[int]) -> None:
    shares = Shares()
    shares.begin()
    for number in came:
        shares.arrived(f"q{number}")

    last = came[-512:]
    assert shares.are_one_sided == (len(last) == 512 and max(Counter(last).values()) >= 128)


def test_a_queue_that_is_alone_busy_is_seen() -> None:
    shares = Shares()
    for number in range(512):
        shares.arrived("busy" if number % 3 else f"q{number}")

    assert shares.are_one_sided
    shares.begin()
    assert not shares.are_one_sided


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


def test_the_last_of_many_queues_is_heard_where_few_change_at_once(world: RabbitWorld) -> None:
    consumer = world.consume(*QUEUES)
    world.transport().publish([call(f"{number}", QUEUES[-1]) for number in range(100)])

    taken: list[str] = []
    while len(taken) < 100:
        deliveries = consumer.receive(4000, DEADLINE_S).deliveries
        assert deliveries, f"only {len(taken)} came"
        taken += ids(deliveries)

    assert len(set(taken)) == 100


def test_queues_that_are_left_while_they_change_stay_left(world: RabbitWorld) -> None:
    consumer = world.consume(*QUEUES)
    consumer.receive(4000, 0.0001)  # no time for more than the first of them
    consumer.listen_to(drop=QUEUES[1:])
    world.transport().publish([call(f"{number}", queue) for queue in QUEUES for number in range(3)])

    assert len(consumer.receive(4000, DEADLINE_S).deliveries) <= 3
    other = world.consume(*QUEUES[1:])
    taken: list[str] = []
    while len(taken) < 3 * (len(QUEUES) - 1) and (deliveries := other.receive(4000, DEADLINE_S).deliveries):
        taken += ids(deliveries)

    assert len(taken) == 3 * (len(QUEUES) - 1)


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


def test_a_queue_that_has_its_share_in_hand_gives_more_though_others_are_busy(world: RabbitWorld) -> None:
    """Its messages are slow: they stay in hand, while those of others come and go."""
    slow = [f"slow {number}" for number in range(60)]
    consumer, publisher = world.consume(*QUEUES), world.transport()
    publisher.publish([call(each, QUEUES[7]) for each in slow])
    taken: set[str] = set()
    until = time.monotonic() + DEADLINE_S
    while len(taken) < len(slow) and time.monotonic() < until:
        publisher.publish([call(f"quick {number}", QUEUES[number]) for number in range(10, 20)])
        deliveries = consumer.receive(150, DEADLINE_S).deliveries
        taken.update(id for id in ids(deliveries) if id in slow)
        quick = [each for each, id in zip(deliveries, ids(deliveries), strict=True) if id not in slow]
        consumer.finish([Completion(delivery.tag) for delivery in quick])

    assert taken == set(slow)


def test_who_wants_nothing_is_pushed_nothing(world: RabbitWorld) -> None:
    consumer = world.consume("q")
    consumer.receive(0, 0)
    world.transport().publish([call(f"{number}", "q") for number in range(5)])
    consumer.receive(0, 0)

    other = world.consume("q")
    taken: list[str] = []
    while len(taken) < 5 and (deliveries := other.receive(5, DEADLINE_S).deliveries):
        taken += ids(deliveries)

    assert len(taken) == 5


def test_a_queue_that_was_deleted_meanwhile_costs_the_others_nothing(world: RabbitWorld) -> None:
    consumer = world.consume("q", "other")
    world.transport().publish([call("kept", "other")])
    (kept,) = consumer.receive(1, DEADLINE_S).deliveries
    world.delete("q")

    assert consumer.receive(50, 0.01).lost == []
    assert consumer.holds([kept.tag]) == [kept.tag]
    world.transport().publish([call("more", "q")])
    assert ids(consumer.receive(50, DEADLINE_S).deliveries) == ["more"]


@pytest.mark.parametrize("world", [RabbitWorld], indirect=True)
def test_a_queue_that_deletes_itself_stays_while_it_is_subscribed_to_anew(world: RabbitWorld) -> None:
    passing = Queue("passing", durable=False, auto_delete=True, queue_arguments=world.arguments)
    transport = world.transport()
    transport.declare([passing])
    consumer = transport.consume(["passing"])
    consumer.receive(1, 0)
    transport.publish([call(f"{number}", "passing") for number in range(30)])
    taken: list[str] = []
    for limit in (1, 50, 2, 50):
        taken += ids(consumer.receive(limit, 0).deliveries)
    while len(taken) < 30 and (deliveries := consumer.receive(50, DEADLINE_S).deliveries):
        taken += ids(deliveries)

    assert len(taken) == 30


def test_a_subscription_that_cannot_be_sent_is_told_and_the_consumer_still_closes(world: RabbitWorld) -> None:
    transport = world.transport()
    transport.declare([Queue("odd", queue_arguments=world.arguments, consumer_arguments={"x-priority": 2**70})])
    consumer = transport.consume(["odd"])

    for _ in range(2):
        with pytest.raises(ImproperlyConfigured):
            consumer.receive(1, 0)
    consumer.close()


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
