"""What was moved to a Redis consumer while it waited: none of it may lie there while that one does something else."""

import threading
import time
from collections.abc import Iterator, Sequence

import pytest

from celery_rs.transports import Received
from celery_rs.transports.redis import RedisTransport
from celery_rs.transports.redis.consumer import RedisConsumer
from celery_rs.transports.redis.waiting import ARMED_MOST, Waiting
from tests.conformance.calls import call, ids
from tests.deadlines import DEADLINE_S, SOON_S, eventually
from tests.proxy import Proxy, proxy_before
from tests.redis_server import OwnRedis


@pytest.fixture
def proxy(own_redis: OwnRedis) -> Iterator[Proxy]:
    with proxy_before(own_redis.url) as proxy:
        yield proxy


class Waits:
    """Receives one message, in a thread: begins when the server has it wait for all its queues."""

    def __init__(self, redis: OwnRedis, url: str, queues: Sequence[str]) -> None:
        self.transport = RedisTransport.open(url, {})
        self.consumer: RedisConsumer = self.transport.consume(queues)
        self.received: Received | None = None
        self._thread = threading.Thread(target=self._receive)
        self._thread.start()
        eventually(lambda: redis.call("CLIENT", "LIST").count(b"cmd=blmove") == len(queues))

    def _receive(self) -> None:
        self.received = self.consumer.receive(1, DEADLINE_S)

    def end(self) -> Received:
        self._thread.join(DEADLINE_S)
        assert self.received is not None
        return self.received


def test_what_came_and_is_one_too_many_goes_back(own_redis: OwnRedis) -> None:
    waits = Waits(own_redis, own_redis.url, ["a", "b"])

    waits.transport.publish([call("in-a", "a"), call("in-b", "b")])

    received = waits.end()
    other = waits.transport.consume(["a", "b"])
    assert sorted(ids(received.deliveries) + ids(other.receive(10, 0).deliveries)) == ["in-a", "in-b"]
    waits.consumer.close()
    other.close()
    waits.transport.close()


def test_what_was_received_is_told_of_though_the_connection_fails_at_that_moment(
    own_redis: OwnRedis, proxy: Proxy
) -> None:
    waits = Waits(own_redis, proxy.url, ["a", "b"])

    proxy.swallow(b"UNBLOCK")
    own_redis.call("LPUSH", "a", _envelope(own_redis))

    assert ids(waits.end().deliveries) == ["one"]
    assert proxy.swallowed == 1
    proxy.swallow(None)
    waits.consumer.close()
    waits.transport.close()


def _envelope(redis: OwnRedis) -> bytes:
    with_it = RedisTransport.open(redis.url, {})
    with_it.publish([call("one", "elsewhere")])
    with_it.close()
    envelope: bytes = redis.call("RPOP", "elsewhere")
    return envelope


def test_what_came_for_a_queue_goes_back_when_it_is_consumed_no_more(own_redis: OwnRedis) -> None:
    transport = RedisTransport.open(own_redis.url, {})
    consumer = transport.consume(["a", "b"])
    own_redis.call("LPUSH", f"celery-rs.wait.{consumer.name}.b", _envelope(own_redis))

    consumer.listen_to(drop=["b"])

    assert own_redis.call("LLEN", "b") == 1
    consumer.close()
    transport.close()


def test_who_was_taken_for_dead_is_known_with_its_queues_before_it_waits_again(own_redis: OwnRedis) -> None:
    transport = RedisTransport.open(own_redis.url, {})
    consumer = transport.consume(["a"])
    own_redis.call("ZREM", "celery-rs.alive", consumer.name)
    own_redis.call("HDEL", "celery-rs.consumers", consumer.name)

    consumer.receive(1, 0)

    assert own_redis.call("HGET", "celery-rs.consumers", consumer.name) == b'[["a"], ["a"]]'
    consumer.close()
    transport.close()


def test_many_queues_take_no_more_connections_than_a_few(own_redis: OwnRedis) -> None:
    transport = RedisTransport.open(own_redis.url, {})
    waiting = Waiting(transport.server, transport.keys, "consumer", block_s=10.0)
    queues = [f"q{n}" for n in range(30)]

    for turn in range(30):
        waiting.wait(queues[turn:] + queues[:turn], 0.0, [])

    assert own_redis.call("CLIENT", "LIST").count(b"cmd=blmove") == ARMED_MOST
    waiting.disarm()
    waiting.end()
    transport.close()


def test_closing_ends_a_wait_in_another_thread(own_redis: OwnRedis) -> None:
    waits = Waits(own_redis, own_redis.url, ["a", "b"])

    began = time.monotonic()
    waits.consumer.close()

    assert waits.end().deliveries == []
    assert time.monotonic() - began < SOON_S
    assert own_redis.call("KEYS", "celery-rs.*") == []
    assert waits.consumer.receive(1, 0).deliveries == []
    waits.transport.close()


def test_the_way_back_takes_what_was_moved_to_a_consumer_that_nobody_knows(own_redis: OwnRedis) -> None:
    transport = RedisTransport.open(own_redis.url, {})
    own_redis.call("LPUSH", "celery-rs.wait.host-1-abcdef.some.queue", _envelope(own_redis))

    transport.hand_back(dead=False)

    assert own_redis.call("LLEN", "some.queue") == 1
    assert own_redis.call("KEYS", "celery-rs.*") == []
    transport.close()


def test_the_server_is_asked_to_tell_of_lists_again_only_when_it_has_told(own_redis: OwnRedis) -> None:
    transport = RedisTransport.open(own_redis.url, {})
    waiting = Waiting(transport.server, transport.keys, "consumer", block_s=10.0)

    def has_asked(times: int) -> bool:
        return b"cmdstat_exists:calls=%d," % times in own_redis.call("INFO", "commandstats")

    waiting.wait(["a", "b"], 0.0, [])
    waiting.wait(["b", "a"], 0.0, [])
    assert has_asked(1)

    transport.publish([call("urgent", "a", priority=9)])
    waiting.wait(["a", "b"], DEADLINE_S, [])
    assert has_asked(1)
    waiting.wait(["a", "b"], DEADLINE_S, [])
    assert has_asked(2)

    waiting.disarm()
    waiting.end()
    transport.close()


def test_who_has_found_a_single_message_waits_for_the_next_before_it_looks(
    own_redis: OwnRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("celery_rs.transports.redis.consumer.LONE_S", DEADLINE_S)
    transport = RedisTransport.open(own_redis.url, {})
    consumer = transport.consume(["a"])
    transport.publish([call("one", "a")])
    assert ids(consumer.receive(10, 0).deliveries) == ["one"]

    own_redis.call("CONFIG", "RESETSTAT")
    received: list[Received] = []
    waits = threading.Thread(target=lambda: received.append(consumer.receive(10, DEADLINE_S)))
    waits.start()
    eventually(lambda: b"cmd=blmove" in own_redis.call("CLIENT", "LIST"))
    assert b"cmdstat_evalsha" not in own_redis.call("INFO", "commandstats")

    transport.publish([call("two", "a")])
    waits.join(DEADLINE_S)
    assert [ids(each.deliveries) for each in received] == [["two"]]
    consumer.close()
    transport.close()
