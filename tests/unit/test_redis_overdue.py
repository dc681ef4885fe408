"""What stock workers held for too long, restored by a worker of ours: everything that Kombu's sweep promises."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from celery_rs._core import seal_envelopes
from celery_rs.transports import Completion
from celery_rs.transports.redis import RedisConsumer
from celery_rs.wire import Exchange, Queue, binding
from tests.conformance.calls import call, ids
from tests.conformance.worlds import REDIS_URL, WORLDS, RedisWorld
from tests.messages import message

pytestmark = pytest.mark.skipif("redis" not in WORLDS, reason=f"there is no Redis at {REDIS_URL}")

TIMEOUT_S = 3600.0
AGES_AGO_S = TIMEOUT_S + 1


@pytest.fixture
def world(tmp_path: Path) -> Iterator[RedisWorld]:
    world = RedisWorld(tmp_path)
    yield world
    world.close()


@pytest.fixture
def consumer(world: RedisWorld) -> RedisConsumer:
    consumer = world.consume("q")
    assert isinstance(consumer, RedisConsumer)
    return consumer


def hold(
    world: RedisWorld, id: str, *, since: float, exchange: str = "", routing_key: str = "q", **fields: Any
) -> None:
    """As a stock worker holds a message since `since` seconds."""
    (raw,) = seal_envelopes([message(id=id, **fields)], [(exchange, routing_key)])
    put(world, id, json.dumps([json.loads(raw), exchange, routing_key]), since)


def put(world: RedisWorld, tag: str, record: str | None, since: float) -> None:
    world.call(b"ZADD", f"{world.prefix}unacked_index", world.now() - since, tag)
    if record is not None:
        world.call(b"HSET", f"{world.prefix}unacked", tag, record)


def left(world: RedisWorld) -> tuple[int, int]:
    return world.call(b"ZCARD", f"{world.prefix}unacked_index"), world.call(b"HLEN", f"{world.prefix}unacked")


def test_what_is_older_than_the_timeout_comes_again(world, consumer):
    hold(world, "old", since=AGES_AGO_S)
    hold(world, "new", since=TIMEOUT_S - 60)

    recovered = consumer.recover()

    assert (recovered.returned, list(recovered.orphans)) == (1, [])
    (delivery,) = consumer.receive(10, 0).deliveries
    assert (ids([delivery]), delivery.redelivered, delivery.crashes) == (["old"], True, 0)
    assert json.loads(delivery.envelope.headers)["redelivered"] is True
    consumer.finish([Completion(delivery.tag)])
    assert left(world) == (1, 1), "the younger one is still its holder's"


def test_it_is_served_next_from_the_list_of_its_priority(world, consumer):
    world.transport().publish([call("waiting", priority=3)])
    hold(world, "old", since=AGES_AGO_S, priority=3)

    consumer.recover()

    assert ids(consumer.receive(10, 0).deliveries) == ["old", "waiting"]


def test_it_goes_to_every_queue_that_is_bound_by_then(world, consumer):
    topics = Exchange("logs", type="topic")
    world.transport().declare([Queue(name, topics, "logs.#") for name in ("q", "r")])
    hold(world, "old", since=AGES_AGO_S, exchange="logs", routing_key="logs.disk")

    consumer.recover()

    assert ids(consumer.receive(10, 0).deliveries) == ["old"]
    assert ids(world.consume("r").receive(10, 0).deliveries) == ["old"]


def test_where_no_queue_is_bound_any_more_it_is_kept_as_a_dead_letter(world, consumer):
    hold(world, "old", since=AGES_AGO_S, exchange="gone", routing_key="k")
    put(world, "garbage", "{", AGES_AGO_S)

    assert consumer.recover().returned == 2

    found = {letter.task_id: letter for letter in world.transport().dead.page().letters}
    assert found["old"].reason == found[None].reason == "unroutable"
    assert "'gone'" in found["old"].detail
    assert found[None].envelope == b"{"
    assert left(world) == (0, 0)


def test_a_broadcast_is_not_said_again(world, consumer):
    transport = world.transport()
    everyone = Queue("everyone", bindings=[binding(Exchange("everyone", type="fanout"), "celery")])
    transport.declare([everyone])
    consumer = transport.consume(["everyone"])
    hold(world, "old", since=AGES_AGO_S, exchange="everyone", routing_key="celery")

    consumer.recover()

    assert not consumer.receive(10, 0.1).deliveries
    assert left(world) == (0, 0)
    consumer.close()


def test_what_ours_hold_is_theirs_however_old_it_is(world, consumer):
    world.transport().publish([call("ours")])
    (delivery,) = consumer.receive(1, 0).deliveries
    world.call(b"ZADD", f"{world.prefix}unacked_index", 1.0, f"crs.{delivery.tag}")
    other = world.consume("q")

    assert other.recover().returned == 0

    assert list(consumer.finish([Completion(delivery.tag)])) == ["committed"]


def test_of_a_batch_that_is_finished_only_what_others_took_is_lost(world, consumer):
    world.transport().publish([call("held"), call("begun"), call("taken")])
    held, begun, taken = (delivery.tag for delivery in consumer.receive(3, 0).deliveries)
    consumer.begin([begun])
    world.call(b"ZREM", f"{world.prefix}unacked_index", f"crs.{taken}")
    world.call(b"HDEL", f"{world.prefix}unacked", f"crs.{taken}")

    verdicts = consumer.finish([Completion(tag) for tag in (taken, begun, held)])

    assert list(verdicts) == ["lost", "committed", "committed"]
    assert left(world) == (0, 0)


def test_a_time_without_a_record_is_forgotten(world, consumer):
    put(world, "acknowledged", None, AGES_AGO_S)

    assert consumer.recover().returned == 0

    assert left(world) == (0, 0)


def test_a_sweep_returns_more_than_fits_in_one_reply(world, consumer):
    for number in range(450):
        hold(world, f"id-{number}", since=AGES_AGO_S)

    assert consumer.recover().returned == 450

    assert len(consumer.receive(1000, 0).deliveries) == 450


def test_two_sweeps_at_once_return_a_message_once(world, consumer):
    other = world.consume("q")
    hold(world, "old", since=AGES_AGO_S)

    assert consumer.recover().returned + other.recover().returned == 1

    assert len(consumer.receive(10, 0).deliveries) == 1


def test_sweeps_are_ten_seconds_apart(world, consumer):
    consumer.recover()
    hold(world, "old", since=AGES_AGO_S)

    assert consumer.recover().returned == 0
    world.pass_time(11)

    assert consumer.recover().returned == 1
