"""The ladder in which messages wait on RabbitMQ, walked as the broker walks it."""

from hypothesis import given
from hypothesis import strategies as st
from pika import spec

from celery_rs._core import topic_matches
from celery_rs.transports.amqp import ladder
from celery_rs.transports.amqp.ladder import CLASSIC, LEVELS, QUORUM, TICK_S

names = st.text(min_size=1, max_size=60).filter(lambda name: len(name.encode()) <= 60)


def walk(key: str) -> int:
    """Ticks that a message with this key spends in the queues of the ladder, by its declarations alone."""
    methods = CLASSIC.declarations()
    waits = {
        each.queue: (each.arguments["x-message-ttl"], each.arguments["x-dead-letter-exchange"])
        for each in methods
        if isinstance(each, spec.Queue.Declare)
    }
    here, waited = CLASSIC.top, 0
    while here != CLASSIC.name:
        queues = [
            each.queue
            for each in methods
            if isinstance(each, spec.Queue.Bind) and each.exchange == here and topic_matches(each.routing_key, key)
        ]
        onward = [
            each.destination
            for each in methods
            if isinstance(each, spec.Exchange.Bind) and each.source == here and topic_matches(each.routing_key, key)
        ]
        assert len(queues) + len(onward) == 1
        if queues:
            ttl, here = waits[queues[0]]
            waited += ttl
        else:
            (here,) = onward
    return round(waited / 1000 / TICK_S)


@given(st.integers(0, 2**LEVELS - 1), names)
def test_a_message_waits_as_long_as_its_key_says(ticks, queue):
    key = ladder.key(ticks, queue)
    assert key is not None

    assert walk(key) == ticks


@given(names, names)
def test_from_the_foot_a_message_goes_to_its_queue_alone(queue, other):
    key = ladder.key(1, queue)
    assert key is not None

    assert topic_matches(CLASSIC.binding(queue).routing_key, key)
    assert topic_matches(CLASSIC.binding(other).routing_key, key) is (other == queue)


@given(st.integers(0, 2**LEVELS - 1), names, st.sampled_from([CLASSIC, QUORUM]))
def test_the_queue_is_read_from_the_key(ticks, queue, chosen):
    key = ladder.key(ticks, queue)
    assert key is not None

    assert ladder.queue_in(chosen.name, key) == queue


@given(st.floats(0, 1e10), st.booleans())
def test_a_delay_is_rounded_to_a_tick(delay, early):
    waited = ladder.ticks(delay, early=early) * TICK_S
    exact = min(delay, ladder.MOST_S)

    if early:
        assert exact - TICK_S - 1e-6 * exact <= waited <= exact * (1 + 1e-9)
    else:
        assert exact * (1 - 1e-9) <= waited <= exact + TICK_S + 1e-6 * exact


def test_a_name_that_leaves_no_room_has_no_key():
    assert ladder.key(1, "q" * 250) is None


def test_what_came_another_way_is_for_no_queue_of_the_ladder():
    assert ladder.queue_in("celery", "celery") is None
    assert ladder.queue_in("", "celery_rs.delay") is None
