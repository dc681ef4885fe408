"""Several bindings of a queue, and queues that are one listener's copy of what many hear."""

from celery_rs.transports import Consumer, Transport
from celery_rs.wire import Broadcast, Exchange, binding
from tests.conformance.calls import call, ids
from tests.deadlines import DEADLINE_S

NEWS = Exchange("news", "topic")


def listener(world, name: str = "all") -> tuple[Transport, Consumer]:
    """A worker's process that consumes the broadcast of that name."""
    transport = world.transport()
    queue = Broadcast(name)
    transport.declare([queue])
    return transport, transport.consume([queue.name])


def test_a_queue_hears_every_exchange_it_is_bound_to(world, transport, consumer):
    transport.declare(
        [
            world.queue(
                "q", "ex", "key", bindings=[binding(NEWS, "sport.#"), binding(NEWS, "art.*"), binding("alarms", "red")]
            )
        ]
    )

    transport.publish(
        [
            call("own", "key", exchange="ex"),
            call("sport", "sport.chess", exchange="news"),
            call("art", "art.new", exchange="news"),
            call("red", "red", exchange="alarms"),
            call("name", "q"),
        ]
    )

    assert ids(consumer.receive(10, 0).deliveries) == ["own", "sport", "art", "red", "name"]


def test_a_message_that_two_bindings_match_arrives_once(world, transport, consumer):
    transport.declare([world.queue("q", bindings=[binding(NEWS, "#"), binding(NEWS, "sport.*")])])

    transport.publish([call("a", "sport.chess", exchange="news")])

    assert ids(consumer.receive(10, 0).deliveries) == ["a"]


def test_every_listener_gets_a_broadcast_once(world, transport):
    transport.declare([Broadcast("all")])
    _, one = listener(world)
    _, two = listener(world)

    transport.publish([call("a", exchange="all"), call("b", exchange="all")])

    assert ids(one.receive(10, DEADLINE_S).deliveries) == ["a", "b"]
    assert ids(two.receive(10, DEADLINE_S).deliveries) == ["a", "b"]
    for consumer in (one, two):
        assert not consumer.receive(10, 0).deliveries
        consumer.close()


def test_a_broadcast_that_nobody_hears_is_gone(world, transport):
    transport.declare([Broadcast("all")])

    transport.publish([call("a", exchange="all")])

    _, late = listener(world)
    assert not late.receive(10, 0).deliveries
    late.close()


def test_who_stops_listening_leaves_nothing_behind(world, transport):
    transport.declare([Broadcast("all")])
    known = transport.queues()
    elsewhere, gone = listener(world)
    transport.publish([call("a", exchange="all")])
    gone.receive(1, DEADLINE_S)
    gone.close()

    transport.publish([call("b", exchange="all")])

    assert transport.queues() == known
    assert world.find("a") is None
    assert world.find("b") is None
    elsewhere.close()


def test_a_broadcast_can_be_listened_to_later_and_no_more(world, transport):
    elsewhere = world.transport()
    queue = Broadcast("all")
    elsewhere.declare([world.queue("q")])
    consumer = elsewhere.consume(["q"])

    elsewhere.declare([queue])
    consumer.listen_to(add=[queue.name])
    transport.declare([Broadcast("all")])
    transport.publish([call("a", exchange="all")])
    assert ids(consumer.receive(10, DEADLINE_S).deliveries) == ["a"]

    consumer.listen_to(drop=[queue.name])
    transport.publish([call("b", exchange="all")])
    assert not consumer.receive(10, 0).deliveries
    consumer.close()
