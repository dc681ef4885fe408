"""Queues and exchanges as plain data."""

from dataclasses import FrozenInstanceError, asdict

import pytest

from celery_rs.wire import Exchange, Queue


def test_a_queue_without_an_exchange_is_reached_by_its_own_name():
    queue = Queue("mail")

    assert queue.exchange == Exchange("")
    assert (queue.routing_key, queue.durable, queue.exclusive, queue.auto_delete) == ("", True, False, False)


def test_an_exchange_is_direct_and_durable_unless_told_otherwise():
    exchange = Exchange("mail")

    assert (exchange.type, exchange.durable, exchange.auto_delete) == ("direct", True, False)


def test_kombus_positional_spelling_is_accepted():
    queue = Queue("mail", Exchange("media", "topic"), "mail.#", queue_arguments={"x-max-priority": 10})

    assert asdict(queue)["exchange"]["type"] == "topic"
    assert queue.routing_key == "mail.#"
    assert queue.queue_arguments == {"x-max-priority": 10}


def test_equal_declarations_are_equal():
    assert Queue("mail", Exchange("media"), "key") == Queue("mail", Exchange("media"), "key")
    assert Queue("mail", Exchange("media"), "key") != Queue("mail", Exchange("media"), "other")


def test_arguments_are_not_shared_between_queues():
    assert Queue("a").queue_arguments is not Queue("b").queue_arguments
    assert Exchange("a").arguments is not Exchange("b").arguments


def test_a_declaration_does_not_change():
    with pytest.raises(FrozenInstanceError):
        Queue("mail").name = "other"  # type: ignore[misc]  # that it is frozen is the point
