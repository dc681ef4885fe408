"""What becomes of the messages of consumers that close, die or are forked."""

import os

import pytest

from celery_rs.errors import OperationalError
from celery_rs.transports import Completion
from celery_rs.transports.faults import Faults
from tests.conformance.calls import call, ids
from tests.conformance.worlds import World, deliveries


def returned(world: World, many: int) -> int:
    """What `recover` says of so many that went back."""
    return 0 if world.requeues else many


def test_held_messages_of_the_dead_are_returned_without_a_crash(world, take, consumer, other):
    take("a")
    world.kill(consumer)

    recovered = world.recover(other)

    assert (recovered.returned, list(recovered.orphans)) == (returned(world, 1), [])
    (delivery,) = other.receive(10, 0).deliveries
    assert (delivery.redelivered, delivery.crashes, delivery.deliveries) == (True, 0, deliveries(world, 2))


def test_late_work_of_the_dead_is_returned_with_a_crash(world, take, consumer, other):
    consumer.begin([take("a").tag], late=True)
    world.kill(consumer)

    recovered = world.recover(other)

    assert (recovered.returned, list(recovered.orphans)) == (returned(world, 1), [])
    (delivery,) = other.receive(10, 0).deliveries
    assert (delivery.redelivered, delivery.crashes, delivery.deliveries) == (True, 1, deliveries(world, 2))


def test_a_crash_mark_belongs_to_one_run(world, take, consumer, other):
    consumer.begin([take("a").tag], late=True)
    world.kill(consumer)
    world.recover(other)
    other.receive(10, 0)
    world.kill(other)
    third = world.consume("q")

    world.recover(third)

    (delivery,) = third.receive(10, 0).deliveries
    assert delivery.crashes == 1, "it was held, not running, when the second holder died"


def test_begun_work_of_the_dead_becomes_an_orphan(world, transport, take, consumer, other):
    tag = take("a").tag
    consumer.begin([tag])
    world.kill(consumer)

    recovered = world.recover(other)

    (orphan,) = recovered.orphans
    assert recovered.returned == 0
    assert ids([orphan]) == ["a"]
    assert orphan.queue == "q"
    assert orphan.tag != tag
    found = world.find("a")
    assert (found.state, found.holder) == ("begun", other.name)
    assert not other.receive(10, 0).deliveries, "begun work is never redelivered"


def test_an_orphan_is_finished_by_who_found_it(world, transport, take, consumer, other):
    consumer.begin([take("a").tag])
    world.kill(consumer)
    (orphan,) = world.recover(other).orphans

    assert list(other.finish([Completion(orphan.tag, followups=[call("errback")])])) == ["committed"]

    assert world.find("a") is None
    assert ids(other.receive(10, 0).deliveries) == ["errback"]


def test_an_orphan_whose_finder_dies_is_an_orphan_again(world, take, consumer, other):
    consumer.begin([take("a").tag])
    world.kill(consumer)
    world.recover(other)
    world.kill(other)
    third = world.consume("q")

    assert ids(world.recover(third).orphans) == ["a"]


def test_the_living_lose_nothing(world, take, consumer, other):
    held, begun = take("a").tag, take("b").tag
    consumer.begin([begun])

    recovered = world.recover(other)

    assert (recovered.returned, list(recovered.orphans)) == (0, [])
    assert sorted(consumer.holds([held, begun])) == sorted([held, begun])
    assert list(consumer.renew()) == []


def test_the_dead_are_recovered_once(world, take, consumer, other):
    take("a")
    world.kill(consumer)
    assert world.recover(other).returned == returned(world, 1)

    assert world.recover(other).returned == 0
    assert ids(other.receive(10, 0).deliveries) == ["a"]


def test_recovered_messages_keep_their_place(world, send, consumer, other):
    send("a", "b", "c")
    consumer.receive(2, 0)
    world.kill(consumer)

    world.recover(other)

    assert ids(other.receive(10, 0).deliveries) == ["a", "b", "c"]


@pytest.mark.needs("replies")
def test_messages_whose_reply_was_lost_with_their_consumer_are_returned(world, send, other):
    consumer = world.consume("q", faults=Faults(drop_replies=1))
    send("a")
    with pytest.raises(OperationalError):
        consumer.receive(10, 0)
    world.kill(consumer)

    assert world.recover(other).returned == returned(world, 1)
    assert ids(other.receive(10, 0).deliveries) == ["a"]


def test_closing_gives_back_what_was_not_begun(take, consumer, other):
    take("a")
    consumer.begin([take("b").tag], late=True)

    consumer.close()

    deliveries = other.receive(10, 0).deliveries
    assert ids(deliveries) == ["a", "b"]
    assert [(delivery.redelivered, delivery.crashes) for delivery in deliveries] == [(True, 0), (True, 0)]


def test_closing_with_work_begun_leaves_orphans(world, take, consumer, other):
    consumer.begin([take("a").tag])

    consumer.close()

    assert not other.receive(10, 0).deliveries
    recovered = other.recover() if world.orphans_at_once else world.recover(other)
    assert ids(recovered.orphans) == ["a"], "whoever closed is known to be gone: no grace"


def test_closing_twice_is_harmless(take, consumer, other):
    take("a")

    consumer.close()
    consumer.close()

    assert ids(other.receive(10, 0).deliveries) == ["a"]


def test_a_closed_consumer_holds_nothing(take, consumer):
    held, begun = take("a").tag, take("b").tag
    consumer.begin([begun])

    consumer.close()

    assert list(consumer.finish([Completion(held), Completion(begun)])) == ["lost", "lost"]


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_shares_the_broker_or_says_that_it_cannot(world, transport, send, consumer):
    send("from the parent")

    child = os.fork()
    if child == 0:
        os._exit(_publish_in_child(transport, shared=world.shared_by_processes))
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    expected = ["from the parent", "from the child"] if world.shared_by_processes else ["from the parent"]
    assert ids(consumer.receive(10, 0).deliveries) == expected


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_the_end_of_a_forked_child_costs_its_parent_nothing(world, transport, take, consumer, other):
    tag = take("a").tag
    child = os.fork()
    if child == 0:
        transport.after_fork()
        transport.close()
        os._exit(0)
    os.waitpid(child, 0)

    assert world.recover(other).returned == 0
    assert list(consumer.finish([Completion(tag)])) == ["committed"]


def _publish_in_child(transport, *, shared: bool) -> int:
    try:
        transport.after_fork()
        transport.publish([call("from the child")])
    except OperationalError as error:
        return 0 if not shared and str(os.getpid()) in str(error) else 1
    except BaseException:  # noqa: BLE001 nothing of pytest may run in the child
        return 2
    return 0 if shared else 3
