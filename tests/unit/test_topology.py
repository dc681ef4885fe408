"""Queues and exchanges as plain data."""

from dataclasses import FrozenInstanceError, asdict
from typing import Any

import pytest

from celery_rs.errors import ImproperlyConfigured
from celery_rs.wire import Broadcast, Exchange, Queue, binding, worker_direct

wrong_queue: Any = Queue
wrong_exchange: Any = Exchange
"""For values that no checker lets pass."""


def test_a_queue_without_an_exchange_is_reached_by_its_own_name():
    queue = Queue("mail")

    assert queue.exchange == Exchange("")
    assert queue.all_bindings == ()
    assert (queue.routing_key, queue.durable, queue.exclusive, queue.auto_delete) == ("", True, False, False)


def test_an_exchange_is_direct_and_durable_unless_told_otherwise():
    exchange = Exchange("mail")

    assert (exchange.type, exchange.durable, exchange.auto_delete) == ("direct", True, False)


def test_an_exchange_may_be_told_by_its_name():
    assert Queue("mail", "media", "key").exchange == Exchange("media")
    assert Queue("mail", exchange="media") == Queue("mail", Exchange("media"))
    assert binding("media", "key").exchange == Exchange("media")


def test_kombus_positional_spelling_is_accepted():
    queue = Queue("mail", Exchange("media", "topic"), "mail.#", queue_arguments={"x-max-priority": 10})

    assert asdict(queue)["exchange"]["type"] == "topic"
    assert queue.routing_key == "mail.#"
    assert queue.queue_arguments == {"x-max-priority": 10}


def test_a_queue_may_have_several_bindings():
    news = Exchange("news", "topic")
    more = [binding(news, "sport.#"), binding("alarms")]

    queue = Queue("desk", Exchange("desk"), "desk", bindings=more)

    assert queue.all_bindings == (binding("desk", "desk"), *more)
    assert Queue("desk", more).all_bindings == Queue("desk", bindings=more).all_bindings == tuple(more)


def test_a_binding_that_is_named_twice_counts_once():
    assert Queue("q", "ex", "key", bindings=[binding("ex", "key")]).all_bindings == (binding("ex", "key"),)


def test_what_a_queue_is_to_be_like_becomes_arguments_for_the_broker():
    queue = Queue(
        "q",
        queue_arguments={"x-queue-type": "quorum"},
        expires=1.5,
        message_ttl=2,
        max_length=10,
        max_length_bytes=1024,
        max_priority=5,
    )

    assert queue.arguments == {
        "x-queue-type": "quorum",
        "x-expires": 1500,
        "x-message-ttl": 2000,
        "x-max-length": 10,
        "x-max-length-bytes": 1024,
        "x-max-priority": 5,
    }
    assert queue.queue_arguments == {"x-queue-type": "quorum"}


def test_a_queue_that_one_connection_uses_goes_with_it():
    assert Queue("q", exclusive=True).auto_delete


def test_equal_declarations_are_equal():
    assert Queue("mail", Exchange("media"), "key") == Queue("mail", Exchange("media"), "key")
    assert Queue("mail", Exchange("media"), "key") != Queue("mail", Exchange("media"), "other")
    assert len({Queue("mail", "media", "key"), Queue("mail", "media", "key"), Queue("mail")}) == 2


def test_arguments_are_not_shared_between_queues():
    given = {"x-queue-type": "quorum"}

    assert Queue("a").queue_arguments is not Queue("b").queue_arguments
    assert Queue("a", queue_arguments=given).queue_arguments is not given
    assert Exchange("a").arguments is not Exchange("b").arguments


def test_a_declaration_does_not_change():
    with pytest.raises(FrozenInstanceError):
        Queue("mail").name = "other"  # type: ignore[misc]  # that it is frozen is the point


def test_a_changed_queue_is_another():
    queue = Queue("mail", "media", "key", expires=60, bindings=[binding("more")])

    assert queue.changed() == queue
    assert queue.changed(routing_key="other") == Queue("mail", "media", "other", expires=60, bindings=[binding("more")])


def test_each_broadcast_has_a_queue_of_its_own_on_one_exchange():
    one, two = Broadcast("news"), Broadcast("news")

    assert one.exchange == two.exchange == Exchange("news", "fanout")
    assert one.name != two.name
    assert one.name.startswith("bcast.")
    assert (one.alias, one.auto_delete, one.is_fleeting) == ("news", True, True)


def test_a_broadcasts_queue_may_have_a_name():
    assert Broadcast("news", queue="mine").name == "mine"
    assert Broadcast("news", queue="mine", unique=True).name.startswith("mine.")
    assert Broadcast("news", exchange=Exchange("other", "fanout")).exchange.name == "other"


def test_a_queue_stays_unless_it_is_one_listeners_copy():
    assert not Queue("q", Exchange("news", "fanout")).is_fleeting
    assert not Queue("q", "direct", auto_delete=True).is_fleeting
    assert not Broadcast("news", auto_delete=False).is_fleeting


def test_a_worker_has_a_queue_under_its_name():
    queue = worker_direct("w1@host")

    assert queue == Queue("w1@host.dq2", Exchange("C.dq2"), "w1@host")
    assert worker_direct(queue) is queue


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: wrong_queue(""), "queue: name must be a string that is not empty, got ''"),
        (lambda: wrong_queue(None), "queue: name must be a string, got None"),
        (lambda: wrong_queue("q", 5), "queue 'q': exchange must be an Exchange or its name, got 5"),
        (lambda: wrong_queue("q", routing_key=5), "queue 'q': routing_key must be a string, got 5"),
        (
            lambda: wrong_queue("q", bindings=["ex"]),
            "queue 'q': bindings must hold binding(exchange, routing_key), got 'ex'",
        ),
        (
            lambda: wrong_queue("q", bindings="ex"),
            "queue 'q': bindings must be a list of binding(exchange, routing_key), ",
        ),
        (lambda: wrong_queue("q", durable="yes"), "queue 'q': durable must be True or False, got 'yes'"),
        (lambda: wrong_queue("q", expires=0), "queue 'q': expires must be seconds, above 0, got 0"),
        (lambda: wrong_queue("q", message_ttl="1"), "queue 'q': message_ttl must be seconds, above 0, got '1'"),
        (lambda: wrong_queue("q", max_length=-1), "queue 'q': max_length must be a whole number, not below 0, got -1"),
        (
            lambda: wrong_queue("q", max_priority=256),
            "queue 'q': max_priority must be a whole number, from 0 to 255, got",
        ),
        (
            lambda: wrong_queue("q", queue_arguments=[1]),
            "queue 'q': queue_arguments must be a dict with names for keys, got",
        ),
        (lambda: wrong_exchange("e", "topik"), "exchange 'e': type must be one of direct, topic, fanout, headers, got"),
        (
            lambda: wrong_exchange("e", delivery_mode=3),
            "exchange 'e': delivery_mode must be 1 ('transient') or 2 ('persist",
        ),
        (lambda: wrong_exchange(5), "exchange: name must be a string, got 5"),
        (lambda: binding(), "binding: exchange must be an Exchange or its name, got None"),
        (lambda: Broadcast(), "Broadcast: a name was expected, for its exchange and for `-Q`, got None"),
    ],
)
def test_what_makes_no_sense_is_named_where_it_is_written(make: Any, complaint: str):
    with pytest.raises(ImproperlyConfigured) as raised:
        make()

    assert str(raised.value).startswith(complaint)
    assert "\n" not in str(raised.value)
