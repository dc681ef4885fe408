"""What can be asked about queues and messages."""

import pytest

from celery_rs.transports import Burial
from celery_rs.transports.base import QueueInfo
from tests.conformance.calls import ids
from tests.conformance.worlds import World

STATES = ("ready", "held", "begun", "delayed", "dead")


def by_state(info: QueueInfo) -> dict[str, int | None]:
    return {state: getattr(info, state) for state in STATES}


def known(world: World, **counts: int) -> dict[str, int | None]:
    """What a broker says of these counts."""
    return {state: count if state in world.counts else None for state, count in counts.items()}


@pytest.mark.needs("on demand")
def test_a_queue_counts_its_messages_by_state(world, transport, send, send_later, take, consumer):
    take("held")
    take("held too")
    consumer.begin([take("begun").tag])
    consumer.bury({take("dead").tag: Burial("reason", "detail")})
    send_later("later", not_before=world.now() + 60)
    send("a", "b", "c")

    info = transport.queues(["q"])["q"]

    assert by_state(info) == known(world, ready=3, held=2, begun=1, delayed=1, dead=1)


def test_an_empty_queue_counts_nothing(world, transport):
    transport.declare([world.queue("empty")])

    info = transport.queues(["empty"])["empty"]

    assert by_state(info) == known(world, ready=0, held=0, begun=0, delayed=0, dead=0)
    assert (info.oldest, info.consumers) == (None, 0)


def test_all_known_queues_are_told_when_none_is_named(world, transport, send):
    transport.declare([world.queue("declared")])
    send("a", queue="used")

    assert {"declared", "used"} <= transport.queues().keys()


def test_only_the_queues_that_are_named_are_told(transport, send):
    send("a", queue="one")
    send("b", queue="two")

    assert set(transport.queues(["two", "three"])) == {"two", "three"}


def test_the_age_of_a_queue_is_that_of_its_oldest_ready_message(world, transport, send):
    send("old")
    world.pass_time(world.moment)
    send("young")

    expected = pytest.approx(world.moment, abs=5) if transport.features.ages else None
    assert transport.queues(["q"])["q"].oldest == expected


def test_a_queue_counts_its_living_consumers(world, transport, consumer, other):
    for each in (consumer, other):
        each.receive(1, 0)
    assert transport.queues(["q"])["q"].consumers == 2

    other.close()
    assert transport.queues(["q"])["q"].consumers == 1

    consumer.listen_to(drop=["q"])
    assert transport.queues(["q"])["q"].consumers == 0


def test_a_due_message_counts_as_ready(world, transport, send_later):
    send_later("a", not_before=world.now() + world.moment)

    world.pass_time(1.1 * world.moment)

    info = transport.queues(["q"])["q"]
    assert by_state(info) == known(world, ready=1, held=0, begun=0, delayed=0, dead=0)
    assert world.find("a").state == "ready"


def test_purging_drops_what_is_ready(world, transport, send, take, consumer):
    held = take("held").tag
    send("a", "b", queue="q")
    send("elsewhere", queue="other")

    assert transport.purge("q") == 2

    assert not consumer.receive(10, 0).deliveries
    assert list(consumer.holds([held])) == [held]
    assert ids(world.consume("other").receive(10, 0).deliveries) == ["elsewhere"]


@pytest.mark.needs("purge delayed")
def test_purging_drops_what_waits_for_its_time(world, transport, send_later):
    send_later("later", not_before=world.now() + 60)

    assert transport.purge("q") == 1

    assert world.find("later") is None


def test_purging_an_unknown_queue_drops_nothing(transport):
    assert transport.purge("nothing") == 0


@pytest.mark.needs("browse")
def test_find_tells_where_a_message_is(world, transport, send, consumer):
    assert transport.find("a") is None

    send("a")
    found = transport.find("a")
    assert (found.queue, found.state, found.holder, found.due) == ("q", "ready", None, None)
    assert (found.crashes, found.deliveries) == (0, 0)

    consumer.receive(1, 0)
    found = transport.find("a")
    assert (found.state, found.holder, found.deliveries) == ("held", consumer.name, 1)


@pytest.mark.needs("browse")
def test_find_knows_when_a_deferred_message_is_due(world, transport, take, consumer):
    due = world.now() + 60
    consumer.defer({take("a").tag: due})

    found = transport.find("a")

    assert (found.state, found.due, found.holder) == ("delayed", pytest.approx(due), None)


@pytest.mark.needs("browse")
def test_find_knows_when_a_delayed_message_is_due(world, transport, send_later):
    due = world.now() + 60
    send_later("a", not_before=due)

    found = transport.find("a")

    assert (found.state, found.due) == ("delayed", pytest.approx(due))


def test_a_broker_names_what_it_lacks(world, transport):
    features = transport.features

    assert (features.delays, features.facts) == (True, True)
    assert (features.browse, features.once) == ("browse" not in world.lacks, "once" not in world.lacks)


def test_a_transport_describes_its_broker(transport):
    assert "\n" not in transport.describe()
    assert "://" in transport.describe()


@pytest.mark.needs("browse")
def test_what_waits_for_its_time_is_told_soonest_first(world, transport, send, send_later):
    send_later("later", not_before=world.now() + 60)
    send_later("sooner", not_before=world.now() + 30)
    send_later("elsewhere", queue="other", not_before=world.now() + 10)
    send("now")

    kept = transport.delayed(["q"], 10)

    assert [delayed.envelope.id for delayed in kept] == ["sooner", "later"]
    assert kept[0].queue == "q"
    assert kept[0].due == pytest.approx(world.now() + 30, abs=5)


@pytest.mark.needs("browse")
def test_no_more_of_what_waits_is_told_than_was_asked_for(world, transport, send_later):
    send_later(*"abc", not_before=world.now() + 60)

    assert len(transport.delayed(["q", "other"], 2)) == 2
    assert transport.delayed([], 2) == []


@pytest.mark.needs("browse")
def test_what_is_due_waits_no_more(world, transport, send_later):
    send_later("a", not_before=world.now() + 60)
    world.pass_time(61)

    assert transport.delayed(["q"], 10) == []


@pytest.mark.needs("browse")
def test_many_tasks_are_located_at_once(world, transport, send, send_later, take):
    take("held")
    send_later("later", not_before=world.now() + 60)
    send("ready")

    found = transport.locate(["held", "later", "ready", "nowhere"])

    assert {id: place.state for id, place in found.items()} == {"held": "held", "later": "delayed", "ready": "ready"}


@pytest.mark.needs("browse")
def test_of_two_messages_of_a_task_the_one_that_somebody_holds_counts(world, transport, send_later, take):
    take("a")
    send_later("a", not_before=world.now() + 60)

    assert transport.locate(["a"])["a"].state == "held"
    assert transport.find("a").state == "held"
