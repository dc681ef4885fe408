"""Keys that hold what only a stranger can have put there: said in one line, nothing lost, everybody else goes on."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from celery_rs.errors import OperationalError
from celery_rs.transports import Burial, Completion
from celery_rs.transports.redis import RedisConsumer
from celery_rs.transports.redis.leases import LEASE_S
from celery_rs.wire import RESULTS
from tests.conformance.calls import call, ids
from tests.conformance.worlds import REDIS_URL, WORLDS, RedisWorld

pytestmark = pytest.mark.skipif("redis" not in WORLDS, reason=f"there is no Redis at {REDIS_URL}")

DEEP = "[" * 100_000


@pytest.fixture
def world(tmp_path: Path) -> Iterator[RedisWorld]:
    world = RedisWorld(tmp_path)
    yield world
    world.close()


@pytest.fixture
def consumer(world: RedisWorld) -> RedisConsumer:
    consumer = world.consume("q", "r")
    assert isinstance(consumer, RedisConsumer)
    return consumer


def sent(world: RedisWorld, id: str) -> bytes:
    """A message as it lies in its queue, taken out again."""
    world.transport().publish([call(id)])
    raw = world.call(b"RPOP", f"{world.prefix}q")
    assert isinstance(raw, bytes)
    return raw


def test_a_call_to_a_queue_that_is_no_list_raises_also_among_others(world, consumer):
    world.call(b"SET", f"{world.prefix}r", "no list")

    with pytest.raises(OperationalError, match="WRONGTYPE"):
        world.transport().publish([call("a"), call("b", "r")])


def test_a_queue_that_is_no_list_costs_no_other_queue_a_message(world, consumer):
    world.call(b"SET", f"{world.prefix}r", "no list")
    world.transport().publish([call("a"), call("b")])

    assert ids(consumer.receive(10, 0).deliveries) == ["a", "b"]
    with pytest.raises(OperationalError, match=f"expected a list at key {world.prefix}r, got a string"):
        consumer.receive(10, 0)


@pytest.mark.parametrize("key", ["unacked", "unacked_index"])
def test_nothing_is_taken_that_cannot_be_held(world, consumer, key):
    world.transport().publish([call("a")])
    world.call(b"SET", f"{world.prefix}{key}", "something else")

    with pytest.raises(OperationalError, match=f"at key {world.prefix}{key}, got a string"):
        consumer.receive(10, 0)
    world.call(b"DEL", f"{world.prefix}{key}")

    assert ids(consumer.receive(10, 0).deliveries) == ["a"]


@pytest.mark.parametrize("entry", [b"junk", b"\xff\xfe|\xff", b""])
def test_an_entry_that_names_nothing_holds_up_no_delays(world, consumer, entry):
    world.call(b"ZADD", f"{world.prefix}celery-rs.delayed", 1, entry)
    world.transport().publish([call("a")])

    assert ids(consumer.receive(10, 0).deliveries) == ["a"]


def test_a_delayed_message_for_a_key_that_is_no_list_holds_up_no_other(world, consumer):
    record = '[{}, "", "s"]'
    world.call(b"SET", f"{world.prefix}s", "no list")
    world.call(b"HSET", f"{world.prefix}unacked", "crs.delay.x", record)
    world.call(b"ZADD", f"{world.prefix}celery-rs.delayed", 1, f"10|{world.prefix}s|crs.delay.x")
    world.transport().publish([call("a")])

    assert ids(consumer.receive(10, 0).deliveries) == ["a"]
    assert world.call(b"HGET", f"{world.prefix}unacked", "crs.delay.x") == record.encode(), "it waits on"


def test_what_is_held_under_no_record_is_not_begun(world, consumer):
    world.transport().publish([call("a"), call("b")])
    first, second = (each.tag for each in consumer.receive(10, 0).deliveries)
    world.call(b"HDEL", f"{world.prefix}unacked", f"crs.{first}")

    assert consumer.begin([first, second]) == [first]


def test_a_follow_up_for_a_key_that_is_no_list_ends_nothing(world, consumer):
    world.transport().publish([call("a")])
    (held,) = consumer.receive(10, 0).deliveries
    world.call(b"SET", f"{world.prefix}s", "no list")
    completion = Completion(held.tag, followups=[call("next", "s")])

    with pytest.raises(OperationalError, match=f"expected a list at key {world.prefix}s, got a string"):
        consumer.finish([completion])
    assert consumer.holds([held.tag]) == [held.tag]
    world.call(b"DEL", f"{world.prefix}s")

    assert consumer.finish([completion]) == ["committed"]
    assert world.call(b"LLEN", f"{world.prefix}s") == 1


@pytest.mark.parametrize("key", ["dead", "dead.order", "dead.serial"])
def test_what_cannot_be_kept_as_a_dead_letter_stays_held(world, consumer, key):
    world.transport().publish([call("a")])
    (held,) = consumer.receive(10, 0).deliveries
    world.call(b"SET", f"{world.prefix}celery-rs.{key}", "no letters")

    with pytest.raises(OperationalError):
        consumer.bury({held.tag: Burial("unreadable", "no message")})

    assert consumer.holds([held.tag]) == [held.tag]


def test_what_a_stock_worker_held_for_a_key_that_is_no_list_stays_and_the_rest_returns(world, consumer):
    world.call(b"SET", f"{world.prefix}s", "no list")
    for field, queue in (("x", "s"), ("y", "q")):
        world.call(b"HSET", f"{world.prefix}unacked", field, json.dumps([{}, "", queue]))
        world.call(b"ZADD", f"{world.prefix}unacked_index", 1, field)

    assert consumer.recover().returned == 1

    assert world.call(b"HKEYS", f"{world.prefix}unacked") == [b"x"]


def test_what_cannot_be_restored_keeps_nobody_from_what_our_own_dead_held(world, consumer):
    world.transport().publish([call("a")])
    victim = world.consume("q")
    victim.receive(1, 0)
    world.kill(victim)
    record = b'[%b, "ex", "key"]' % sent(world, "theirs")
    world.call(b"HSET", f"{world.prefix}unacked", "theirs", record)
    world.call(b"ZADD", f"{world.prefix}unacked_index", 1.0, "theirs")
    world.call(b"SET", f"{world.prefix}_kombu.binding.ex", "no set")

    returned = 0
    refused = []
    for wait in (0.0, LEASE_S + 0.5, LEASE_S / 2 + 0.5):
        world.pass_time(wait)
        try:
            returned += consumer.recover().returned
        except OperationalError as error:
            refused.append(str(error))

    assert returned == 1
    assert all("WRONGTYPE" in line for line in refused)
    assert refused
    assert ids(consumer.receive(10, 0).deliveries) == ["a"]


def test_half_a_surrogate_pair_in_a_record_is_no_queue(world, consumer):
    world.call(b"HSET", f"{world.prefix}unacked", "x", '[{}, "", "\\ud800"]')
    world.call(b"ZADD", f"{world.prefix}unacked_index", 1, "x")

    consumer.recover()

    (letter,) = world.transport().dead.page().letters
    assert (letter.envelope, letter.reason) == (b'[{}, "", "\\ud800"]', "unroutable")


@pytest.mark.parametrize("told", ["\xff", "17", "[1]", "[[], [1, null]]", '[[], ["\\ud800"]]', DEEP])
@pytest.mark.parametrize("tag", [b"1", b"\xff\xfe", b"x", b"x." + b"9" * 5000])
def test_what_the_dead_left_is_taken_over_whatever_they_said_of_themselves(world, consumer, told, tag):
    raw = sent(world, "a")
    world.call(b"HSET", f"{world.prefix}unacked", b"crs." + tag, b"[" + raw + b', "", "q"]')
    world.call(b"ZADD", f"{world.prefix}unacked_index", 1, b"crs." + tag)
    world.call(b"HSET", f"{world.prefix}celery-rs.held.gone", tag, "h")
    world.call(b"HSET", f"{world.prefix}celery-rs.consumers", "gone", told)
    world.call(b"ZADD", f"{world.prefix}celery-rs.alive", world.now() - 2 * LEASE_S, "gone")

    assert world.recover(consumer).returned == 1

    assert ids(consumer.receive(10, 0).deliveries) == ["a"]


@pytest.mark.parametrize("version", ["junk", "-1", "1e3", "9" * 5000])
def test_a_version_that_is_none_costs_no_message(world, consumer, version):
    world.call(b"SET", f"{world.prefix}celery-rs.facts.version", version)
    transport = world.transport()
    transport.publish([call("a")])

    assert ids(consumer.receive(10, 0).deliveries) == ["a"]
    assert transport.facts.since(0) == (0, [])


@pytest.mark.parametrize("value", ["junk", "17", '["!!!", 1]', '["", "x"]', DEEP])
def test_a_fact_that_is_none_is_passed_over(world, value):
    facts = world.transport().facts
    facts.put("revoked", "a", b"1")
    world.call(b"HSET", f"{world.prefix}celery-rs.facts", "x\0y", value)
    world.call(b"ZADD", f"{world.prefix}celery-rs.facts.order", 1, "x\0y")

    assert [fact.key for fact in facts.since(0)[1]] == ["a"]


@pytest.mark.parametrize("raw", ["junk", "\n[]", "nan\n[1,2,3,4,5,6,7,8]", f"1\n{DEEP}"])
def test_a_dead_letter_that_is_none_is_shown_as_such(world, raw):
    dead = world.transport().dead
    world.call(b"HSET", f"{world.prefix}celery-rs.dead", 1, raw)
    world.call(b"ZADD", f"{world.prefix}celery-rs.dead.order", 1, 1)

    (letter,) = dead.page().letters

    assert (letter.reason, letter.envelope) == ("unreadable", raw.encode())
    assert dead.retry(["1"]) == 0
    assert dead.purge() == 1


def test_the_way_back_ends_where_something_cannot_be_put_back(world):
    world.call(b"HSET", f"{world.prefix}celery-rs.dead", 1, "junk")
    world.call(b"ZADD", f"{world.prefix}celery-rs.dead.order", 1, 1)
    world.call(b"SET", f"{world.prefix}s", "no list")
    world.call(b"HSET", f"{world.prefix}unacked", "crs.delay.x", '[{}, "", "s"]')
    world.call(b"ZADD", f"{world.prefix}celery-rs.delayed", 1, f"10|{world.prefix}s|crs.delay.x")

    handed = world.transport().hand_back(dead=True)

    assert (handed.deferred, handed.dead, handed.left) == (0, 0, 1)
    assert world.call(b"HEXISTS", f"{world.prefix}unacked", "crs.delay.x") == 1


def test_an_answer_to_what_is_no_list_is_dropped_and_holds_up_nobody(world, caplog):
    world.call(b"SET", f"{world.prefix}no-list", "something else")
    transport = world.transport()
    hears = transport.subscribe(RESULTS, "hears", "hears")

    transport.announce(RESULTS, "no-list", [b"dropped"], expires=60.0)
    transport.announce(RESULTS, "hears", [b"heard"], expires=60.0)

    assert list(hears.receive(10.0)) == [b"heard"]
    assert "WRONGTYPE" in caplog.text
    assert world.call(b"GET", f"{world.prefix}no-list") == b"something else"
    hears.close()


def test_an_answer_that_nobody_fetches_goes_after_a_time(world):
    world.transport().announce(RESULTS, "gone", [b"late"], expires=60.0)

    assert 0 < world.call(b"PTTL", f"{world.prefix}gone") <= 60_000
