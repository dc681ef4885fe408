"""The dead letters: listed, read, edited, retried, purged."""

import json

import pytest

from celery_rs.transports import Burial
from tests.conformance.calls import ids, opened


@pytest.fixture
def bury(transport, take, consumer):
    """Bury a message with this id; returns the id of its dead letter."""

    def bury(id, **options):
        consumer.bury({take(id, **options).tag: Burial("reason", f"detail of {id}")})
        return transport.dead.page(limit=1000).letters[-1].id

    return bury


def test_dead_letters_are_listed_oldest_first(transport, bury):
    for id in "abc":
        bury(id)

    page = transport.dead.page()

    assert [letter.task_id for letter in page.letters] == ["a", "b", "c"]
    assert page.after is None


def test_a_listing_goes_on_where_it_ended(transport, bury):
    for id in "abcde":
        bury(id)

    first = transport.dead.page(limit=2)
    second = transport.dead.page(after=first.after, limit=2)
    third = transport.dead.page(after=second.after, limit=2)

    pages = [[letter.task_id for letter in page.letters] for page in (first, second, third)]
    assert pages == [["a", "b"], ["c", "d"], ["e"]]
    assert third.after is None


def test_a_listing_goes_on_although_its_last_letter_has_gone(transport, bury):
    for id in "abc":
        bury(id)
    first = transport.dead.page(limit=2)
    transport.dead.retry([first.letters[-1].id])

    assert [letter.task_id for letter in transport.dead.page(after=first.after).letters] == ["c"]


def test_the_letters_of_one_queue_can_be_listed(world, transport, send, bury):
    bury("a")
    send("b", queue="other")
    other = world.consume("other")
    other.bury({delivery.tag: Burial("r", "d") for delivery in other.receive(1, 0).deliveries})

    assert [letter.task_id for letter in transport.dead.page("other").letters] == ["b"]


def test_a_letter_tells_what_is_known_of_it(world, transport, bury):
    id = bury("a", task="proj.add")

    letter = transport.dead.get(id)

    assert (letter.id, letter.queue, letter.task, letter.task_id) == (id, "q", "proj.add", "a")
    assert (letter.reason, letter.detail, letter.crashes, letter.deliveries) == ("reason", "detail of a", 0, 1)
    assert letter.died_at == pytest.approx(world.now(), abs=5)
    assert json.loads(letter.envelope)["headers"]["id"] == "a"


def test_an_unreadable_message_can_be_buried(world, transport, consumer):
    world.put_raw("q", b"\x00rubbish")
    (delivery,) = consumer.receive(1, 0).deliveries

    consumer.bury({delivery.tag: Burial("unreadable", delivery.envelope.reason)})

    (letter,) = transport.dead.page().letters
    assert (letter.task, letter.task_id) == (None, None)
    assert world.unwrapped(letter.envelope) == b"\x00rubbish"
    with pytest.raises(ValueError, match="readable"):
        transport.dead.edit(letter.id, [], {})


@pytest.mark.parametrize("id", ["", "0", "12345", "no such id", "-1"])
def test_a_letter_that_is_not_there_is_a_key_error(transport, id):
    with pytest.raises(KeyError):
        transport.dead.get(id)
    with pytest.raises(KeyError):
        transport.dead.edit(id, [], {})
    assert transport.dead.retry([id]) == 0


def test_a_retried_letter_goes_to_the_end_of_its_queue_as_if_new(transport, send, consumer, bury):
    id = bury("a")
    send("b")

    assert transport.dead.retry([id]) == 1

    deliveries = consumer.receive(10, 0).deliveries
    assert ids(deliveries) == ["b", "a"]
    assert (deliveries[1].redelivered, deliveries[1].crashes, deliveries[1].deliveries) == (False, 0, 1)
    assert not transport.dead.page().letters


@pytest.mark.needs("priorities", "on demand")
def test_a_retried_letter_keeps_its_priority(world, transport, send, consumer, bury):
    low, _, high = world.priorities
    id = bury("a", priority=high)
    send("b", priority=low)

    transport.dead.retry([id])

    assert ids(consumer.receive(10, 0).deliveries) == ["a", "b"]


def test_retry_counts_each_letter_once(transport, bury):
    first, second = bury("a"), bury("b")

    assert transport.dead.retry([first, second, first, "nothing"]) == 2
    assert transport.dead.retry([first]) == 0


def test_an_edited_letter_runs_with_the_new_arguments(transport, consumer, bury):
    body = b'[[1, 2], {"base": 10}, {"callbacks": null, "errbacks": null, "chain": null, "chord": null}]'
    id = bury("a", body=body, argsrepr="(1, 2)", kwargsrepr="{'base': 10}")

    transport.dead.edit(id, [3, "four"], {"base": 16})
    transport.dead.retry([id])

    (delivery,) = consumer.receive(1, 0).deliveries
    envelope = opened(delivery)
    args, kwargs, embed = json.loads(envelope.body)
    assert (args, kwargs) == ([3, "four"], {"base": 16})
    assert embed == json.loads(body)[2]
    assert (envelope.id, envelope.argsrepr, envelope.kwargsrepr) == ("a", "(3, 'four')", "{'base': 16}")


@pytest.mark.parametrize(
    "options",
    [{"content_type": "application/x-python-serialize", "content_encoding": "binary"}, {"body": b"not json"}],
)
def test_only_json_bodies_are_edited(transport, bury, options):
    id = bury("a", **options)
    before = transport.dead.get(id)

    with pytest.raises(ValueError, match=r"JSON|cannot be replaced"):
        transport.dead.edit(id, [], {})

    assert transport.dead.get(id) == before


def test_purging_ends_all_letters(world, transport, bury):
    bury("a")
    bury("b")

    assert transport.dead.purge() == 2
    assert not transport.dead.page().letters
    assert world.find("a") is None


def test_purging_can_spare_the_younger_ones(world, transport, bury):
    bury("old")
    world.pass_time(world.moment)
    bury("young")

    assert transport.dead.purge(before=world.now() - world.moment / 2) == 1
    assert [letter.task_id for letter in transport.dead.page().letters] == ["young"]
