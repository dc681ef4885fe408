"""Subscriptions: control requests, replies and events, at most once."""

import threading
import time

import pytest

from celery_rs.wire import Exchange, exchanges, reply_exchange
from tests.deadlines import DEADLINE_S

PIDBOX, REPLIES = exchanges("celery")
EVENTS = Exchange("celeryev", "topic", durable=False)
NEWS, OTHER = Exchange("ex", "fanout", durable=False), Exchange("another", "fanout", durable=False)


@pytest.fixture
def subscribe(world):
    """Subscribe from a process of its own."""
    opened = []

    def subscribe(exchange, pattern="#", queue=""):
        opened.append(world.transport().subscribe(exchange, pattern, queue))
        return opened[-1]

    yield subscribe
    for subscription in opened:
        subscription.close()


def hear(subscription, many: int) -> list[bytes]:
    """So many envelopes; a server may hand them over one by one."""
    heard: list[bytes] = []
    until = time.monotonic() + DEADLINE_S
    while len(heard) < many and (left := until - time.monotonic()) > 0:
        heard += subscription.receive(left)
    return heard


def test_every_subscription_hears_an_announcement(transport, subscribe):
    first, second = subscribe(PIDBOX), subscribe(PIDBOX)

    transport.announce(PIDBOX, "", [b"one", b"two"])

    assert hear(first, 2) == [b"one", b"two"]
    assert hear(second, 2) == [b"one", b"two"]


def test_an_announcement_is_heard_once(transport, subscribe):
    subscription = subscribe(NEWS)
    transport.announce(NEWS, "", [b"one"])
    hear(subscription, 1)

    assert not subscription.receive(0)


def test_announcements_arrive_in_order(transport, subscribe):
    subscription = subscribe(NEWS)

    for number in range(5):
        transport.announce(NEWS, "", [b"%d" % number])

    assert hear(subscription, 5) == [b"0", b"1", b"2", b"3", b"4"]


def test_a_subscription_hears_only_its_exchange(transport, subscribe):
    subscription = subscribe(NEWS)

    transport.announce(OTHER, "", [b"one"])
    transport.announce(NEWS, "", [b"two"])

    assert hear(subscription, 1) == [b"two"]


@pytest.mark.parametrize(
    ("pattern", "heard"),
    [("#", {"", "task", "task.sent", "worker.online"}), ("task.*", {"task.sent"}), ("task.#", {"task", "task.sent"})],
)
def test_a_subscription_hears_what_its_pattern_matches(transport, subscribe, pattern, heard):
    subscription = subscribe(EVENTS, pattern)

    for key in ("", "task", "task.sent", "worker.online"):
        transport.announce(EVENTS, key, [key.encode()])

    transport.announce(EVENTS, "task.sent", [b"the last"])
    heard_of = hear(subscription, len(heard) + 1)
    assert {key.decode() for key in heard_of} == heard | {"the last"}


def test_replies_reach_the_address_they_are_for(transport, subscribe):
    asker = subscribe(REPLIES, "a36c", f"a36c.{REPLIES.name}")
    other = subscribe(REPLIES, "b1d0", f"b1d0.{REPLIES.name}")

    transport.announce(reply_exchange(REPLIES.name), "a36c", [b"one", b"two"])

    assert hear(asker, 2) == [b"one", b"two"]
    assert not other.receive(0)


def test_a_reply_to_an_asker_who_has_gone_is_no_error(transport, subscribe):
    subscribe(REPLIES, "a36c", f"a36c.{REPLIES.name}").close()

    transport.announce(REPLIES, "a36c", [b"late"])


def test_a_subscription_hears_nothing_from_before(transport, subscribe):
    transport.announce(NEWS, "", [b"before"])

    assert not subscribe(NEWS).receive(0)


def test_announcing_to_nobody_is_no_error(transport):
    transport.announce(NEWS, "", [b"one"])


def test_a_closed_subscription_hears_nothing(transport, subscribe):
    gone, there = subscribe(NEWS), subscribe(NEWS)

    gone.close()
    gone.close()
    transport.announce(NEWS, "", [b"one"])

    assert hear(there, 1) == [b"one"]


def test_a_waiting_subscription_hears_at_once(world, subscribe):
    subscription = subscribe(NEWS)
    announcer = threading.Timer(0.05, world.transport().announce, [NEWS, "", [b"one"]])
    announcer.start()
    began = time.monotonic()

    heard = subscription.receive(DEADLINE_S)

    announcer.join()
    assert list(heard) == [b"one"]
    assert time.monotonic() - began < DEADLINE_S / 2


def test_wake_ends_a_subscription_that_waits(subscribe):
    subscription = subscribe(NEWS)
    waker = threading.Timer(0.05, subscription.wake)
    waker.start()
    began = time.monotonic()

    assert not subscription.receive(DEADLINE_S)

    waker.join()
    assert time.monotonic() - began < DEADLINE_S / 2


def test_a_subscription_ends_with_its_timeout(subscribe):
    began = time.monotonic()

    assert not subscribe(NEWS).receive(0.05)

    assert time.monotonic() - began < DEADLINE_S / 2
