"""The ladder in which messages wait on RabbitMQ, walked as the broker walks it."""

from hypothesis import given
from hypothesis import strategies as st
from pika import spec

from celery_rs._core import topic_matches
from celery_rs.transports import Route
from celery_rs.transports.amqp import ladder
from celery_rs.transports.amqp.ladder import CLASSIC, LADDERS, TICK_S, Ladder

names = st.text(min_size=1, max_size=60).filter(lambda name: len(name.encode()) <= 60)
ladders = st.sampled_from(LADDERS)
delays = st.integers(1, round(ladder.MOST_S / TICK_S))


def entry(chosen: Ladder, ticks: int, queue: str) -> Route:
    found = chosen.entry(ticks, queue)
    assert found is not None
    return found


def walk(chosen: Ladder, start: Route) -> list[int]:
    """Ticks that a message spends in each queue of the ladder, by the declarations of what is below it alone."""
    level = chosen.level_of(start.exchange)
    assert level is not None
    methods = [method for n in range(level + 1) for method in chosen.level(n)]
    waits = {
        each.queue: (each.arguments["x-message-ttl"], each.arguments["x-dead-letter-exchange"])
        for each in methods
        if isinstance(each, spec.Queue.Declare)
    }
    here, waited = start.exchange, []
    while here != chosen.name:
        queues = [
            each.queue
            for each in methods
            if isinstance(each, spec.Queue.Bind)
            and each.exchange == here
            and topic_matches(each.routing_key, start.routing_key)
        ]
        onward = [
            each.destination
            for each in methods
            if isinstance(each, spec.Exchange.Bind)
            and each.source == here
            and topic_matches(each.routing_key, start.routing_key)
        ]
        assert len(queues) + len(onward) == 1
        if queues:
            ttl, here = waits[queues[0]]
            waited.append(round(ttl / 1000 / TICK_S))
        else:
            (here,) = onward
    return waited


@given(ladders, delays, names)
def test_a_message_waits_as_long_as_its_key_says(chosen, ticks, queue):
    assert sum(walk(chosen, entry(chosen, ticks, queue))) == ticks


@given(delays, names)
def test_a_message_waits_in_few_queues_and_at_once(ticks, queue):
    start = entry(CLASSIC, ticks, queue)

    waited = walk(CLASSIC, start)

    assert start.exchange == f"{CLASSIC.name}.{(ticks.bit_length() - 1) // 4}"
    assert len(waited) == sum(digit != "0" for digit in f"{ticks:x}")


@given(ladders, names, names)
def test_from_the_foot_a_message_goes_to_its_queue_alone(chosen, queue, other):
    key = entry(chosen, 1, queue).routing_key

    assert topic_matches(chosen.binding(queue).routing_key, key)
    assert topic_matches(chosen.binding(other).routing_key, key) is (other == queue)


@given(ladders, delays, names)
def test_the_queue_is_read_from_the_key(chosen, ticks, queue):
    start = entry(chosen, ticks, queue)

    assert ladder.queue_in(chosen.name, start.routing_key) == queue
    assert ladder.queue_in(start.exchange, start.routing_key) == queue


@given(ladders)
def test_an_exchange_is_of_one_ladder(chosen):
    assert [each.level_of(f"{chosen.name}.3") for each in LADDERS] == [
        3 if each is chosen else None for each in LADDERS
    ]
    assert chosen.level_of(chosen.name) is None


@given(st.floats(0, 1e10), st.booleans())
def test_a_delay_is_rounded_to_a_tick(delay, early):
    waited = ladder.ticks(delay, early=early) * TICK_S
    exact = min(delay, ladder.MOST_S)

    if early:
        assert exact - TICK_S - 1e-6 * exact <= waited <= exact * (1 + 1e-9)
    else:
        assert exact * (1 - 1e-9) <= waited <= exact + TICK_S + 1e-6 * exact


def test_a_name_that_leaves_no_room_has_no_key():
    assert CLASSIC.entry(1, "q" * 250) is None


def test_what_came_another_way_is_for_no_queue_of_the_ladder():
    assert ladder.queue_in("celery", "celery") is None
    assert ladder.queue_in("", CLASSIC.name) is None
