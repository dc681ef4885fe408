"""From `publish` to `receive`: what arrives, where, and in which order."""

import threading
import time

import pytest

from celery_rs._core import DecodeError
from celery_rs.errors import NotSupported, OperationalError
from celery_rs.transports import Completion, Outgoing, Route
from celery_rs.wire import Exchange, Queue
from tests.conformance.calls import call, ids, opened
from tests.deadlines import DEADLINE_S
from tests.messages import message


def test_a_published_message_is_received_as_it_was_sent(transport, consumer):
    transport.publish([call("a", task="proj.add", body=b'[[1, 2], {}, {"chord": null}]', priority=3)])

    (delivery,) = consumer.receive(10, 0).deliveries

    envelope = opened(delivery)
    assert (envelope.id, envelope.task, envelope.priority) == ("a", "proj.add", 3)
    assert envelope.body == b'[[1, 2], {}, {"chord": null}]'
    assert (delivery.queue, delivery.redelivered, delivery.crashes, delivery.deliveries) == ("q", False, 0, 1)


def test_messages_of_one_priority_arrive_in_the_order_of_publishing(send, consumer):
    send("a", "b")
    send("c")

    assert ids(consumer.receive(10, 0).deliveries) == ["a", "b", "c"]


def test_a_thousand_that_are_published_together_arrive_in_their_order(send, consumer):
    sent = [f"m{number}" for number in range(1000)]
    send(*sent)

    arrived: list[str] = []
    while more := ids(consumer.receive(1000, DEADLINE_S if len(arrived) < 1000 else 0).deliveries):
        arrived += more

    assert arrived == sent


def test_messages_for_several_queues_that_are_published_together_arrive(world, transport):
    transport.publish([call("a", "one"), call("b", "one"), call("c", "two"), call("d", "one")])

    one, two = world.consume("one"), world.consume("two")

    assert sorted(ids(one.receive(10, DEADLINE_S).deliveries)) == ["a", "b", "d"]
    assert ids(two.receive(10, DEADLINE_S).deliveries) == ["c"]


@pytest.mark.needs("priorities")
def test_more_urgent_messages_arrive_first(world, send, consumer):
    low, middle, high = world.priorities
    send("low", priority=low)
    send("high-1", "high-2", priority=high)
    send("middle", priority=middle)

    assert ids(consumer.receive(10, 0).deliveries) == ["high-1", "high-2", "middle", "low"]


@pytest.mark.needs("priorities")
def test_what_is_more_urgent_is_so_for_the_worker_as_well(world, transport):
    low, middle, high = map(transport.features.urgency, world.priorities)

    assert low < middle < high


@pytest.mark.needs("priorities across queues")
def test_priority_counts_more_than_the_queue_a_message_is_in(world, transport):
    low, _, high = world.priorities
    transport.publish(
        [call("a", "one", priority=low), call("b", "two", priority=high), call("c", "one", priority=high)]
    )

    arrived = ids(world.consume("one", "two").receive(10, 0).deliveries)

    assert sorted(arrived[:2]) == ["b", "c"]
    assert arrived[2] == "a"


def test_receive_takes_no_more_than_its_limit(send, consumer):
    send("a", "b", "c")

    assert ids(consumer.receive(2, 0).deliveries) == ["a", "b"]
    assert ids(consumer.receive(2, 0).deliveries) == ["c"]


def test_receive_takes_only_from_its_queues(send, consumer):
    send("a", queue="elsewhere")

    assert not consumer.receive(10, 0).deliveries


def test_a_message_is_received_by_one_consumer_only(send, consumer, other):
    send("a", "b", "c")

    assert ids(consumer.receive(2, 0).deliveries) == ["a", "b"]
    assert ids(other.receive(2, 0).deliveries) == ["c"]
    assert not consumer.receive(2, 0).deliveries


def test_receive_ends_with_its_timeout(consumer):
    began = time.monotonic()

    received = consumer.receive(10, 0.05)

    assert not received.deliveries
    assert 0.04 <= time.monotonic() - began < DEADLINE_S


def test_a_waiting_receive_hears_of_a_message_at_once(world, consumer):
    sender = threading.Timer(0.05, world.transport().publish, [[call("a")]])
    sender.start()
    began = time.monotonic()

    received = consumer.receive(10, DEADLINE_S)

    sender.join()
    assert ids(received.deliveries) == ["a"]
    assert time.monotonic() - began < DEADLINE_S / 2


def test_wake_ends_a_receive_that_waits(consumer):
    waker = threading.Timer(0.05, consumer.wake)
    waker.start()
    began = time.monotonic()

    received = consumer.receive(10, DEADLINE_S)

    waker.join()
    assert not received.deliveries
    assert time.monotonic() - began < DEADLINE_S / 2


def test_wake_before_receive_is_not_forgotten(consumer):
    consumer.wake()
    began = time.monotonic()

    consumer.receive(10, DEADLINE_S)

    assert time.monotonic() - began < DEADLINE_S / 2


def test_a_consumer_can_listen_to_more_queues_and_to_fewer(send, consumer):
    send("a", queue="extra")
    consumer.listen_to(add=["extra"])
    assert ids(consumer.receive(10, 0).deliveries) == ["a"]

    send("b", queue="extra")
    send("c", queue="q")
    consumer.listen_to(drop=["extra"])

    assert ids(consumer.receive(10, 0).deliveries) == ["c"]


def test_a_message_for_later_arrives_when_it_is_due(world, send_later, consumer):
    now = world.now()
    send_later("later", not_before=now + world.moment)
    send_later("now", not_before=now - 60)

    assert ids(consumer.receive(10, 0).deliveries) == ["now"]

    world.pass_time(1.1 * world.moment)
    assert ids(consumer.receive(10, 0).deliveries) == ["later"]


def test_a_call_for_later_arrives_at_once_where_the_broker_keeps_none(world, send, consumer):
    send("a", not_before=world.now() + 60)

    assert ids(consumer.receive(10, 0).deliveries) == ([] if world.delays_calls else ["a"])


def test_what_is_due_earlier_arrives_earlier(world, send_later, consumer):
    now = world.now()
    send_later("second", not_before=now + world.moment)
    send_later("first", not_before=now + world.moment / 2)

    world.pass_time(1.1 * world.moment)

    assert ids(consumer.receive(10, 0).deliveries) == ["first", "second"]


@pytest.mark.needs("once")
def test_a_repeat_of_once_is_dropped_for_a_day(world, send, consumer):
    send("a", once="key")
    send("b", "c", once="key")
    send("d", once="another key")
    assert ids(consumer.receive(10, 0).deliveries) == ["a", "d"]

    world.pass_time(24 * 3600 - 60)
    send("e", once="key")
    assert not consumer.receive(10, 0).deliveries

    world.pass_time(120)
    send("f", once="key")
    assert ids(consumer.receive(10, 0).deliveries) == ["f"]


@pytest.mark.needs("once")
def test_once_is_remembered_after_its_message_is_finished(send, take, consumer):
    consumer.finish([Completion(take("a", once="key").tag)])

    send("b", once="key")

    assert not consumer.receive(10, 0).deliveries


def test_nothing_of_a_batch_is_published_when_one_cannot_be_routed(transport, consumer):
    with pytest.raises(OperationalError, match="'nowhere'"):
        transport.publish([call("a"), call("b", "key", exchange="nowhere")])

    assert not consumer.receive(10, 0).deliveries


def test_nothing_stays_unconfirmed(transport, send):
    send("a")

    assert transport.flush(1.0) == 0


def test_an_unreadable_envelope_is_delivered_with_the_reason(world, consumer):
    world.put_raw("q", b"\xff not an envelope")

    (delivery,) = consumer.receive(10, 0).deliveries

    assert isinstance(delivery.envelope, DecodeError)
    assert world.unwrapped(delivery.envelope.raw) == b"\xff not an envelope"
    assert delivery.envelope.reason


@pytest.mark.parametrize(
    ("kind", "binding", "key", "arrives"),
    [
        ("direct", "mail", "mail", True),
        ("direct", "mail", "mail.new", False),
        ("topic", "mail.#", "mail.new.today", True),
        ("topic", "mail.*", "mail.new.today", False),
        ("fanout", "ignored", "anything", True),
    ],
)
def test_an_exchange_routes_by_its_bindings(world, transport, kind, binding, key, arrives):
    elsewhere = world.transport()
    for each in (elsewhere, transport):
        each.declare([world.queue("q", Exchange("ex", kind), binding)])
    consumer = elsewhere.consume(["q"])

    if arrives:
        transport.publish([call("a", key, exchange="ex")])
    else:
        with pytest.raises(OperationalError, match=repr(key)):
            transport.publish([call("a", key, exchange="ex")])

    assert ids(consumer.receive(10, 5 if arrives else 0).deliveries) == ["a"] * arrives
    consumer.close()


def test_a_message_goes_to_every_bound_queue_once(world, transport):
    news = Exchange("news", "topic")
    transport.declare(
        [world.queue("one", news, "sport.*"), world.queue("one", news, "#"), world.queue("two", news, "#")]
    )

    transport.publish([Outgoing(message(id="a"), Route("news", "sport.chess"))])

    assert ids(world.consume("one").receive(10, 0).deliveries) == ["a"]
    assert ids(world.consume("two").receive(10, 0).deliveries) == ["a"]


def test_declaring_again_changes_nothing(world, transport, send, consumer):
    send("a")

    transport.declare([world.queue("q"), world.queue("q")])

    assert ids(consumer.receive(10, 0).deliveries) == ["a"]


@pytest.mark.needs("headers refused")
def test_an_exchange_of_another_type_is_refused(transport):
    with pytest.raises(NotSupported, match=r"'headers'.*use direct, topic"):
        transport.declare([Queue("q", Exchange("ex", "headers"))])


def test_consumers_in_threads_share_out_every_message_once(world, transport, send):
    send(*(f"m{number}" for number in range(200)))
    finished: list[str] = []

    def finish_all() -> None:
        consumer = world.consume("q")
        while deliveries := consumer.receive(7, 0).deliveries:
            assert set(consumer.finish([Completion(delivery.tag) for delivery in deliveries])) == {"committed"}
            finished.extend(ids(deliveries))

    threads = [threading.Thread(target=finish_all, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)

    assert sorted(finished) == sorted(f"m{number}" for number in range(200))
    assert world.find("m0") is None
