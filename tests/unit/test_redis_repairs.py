"""What a Redis consumer does after a reply was lost, where the repair itself fails; and connections that have ended."""

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from celery_rs._core import DecodeError, Envelope, open_envelopes
from celery_rs.errors import OperationalError
from celery_rs.transports.redis import RedisOptions, RedisTransport, Script, Server
from celery_rs.transports.redis.keys import record_end
from tests.conformance.calls import call, ids
from tests.conformance.worlds import RedisWorld
from tests.deadlines import DEADLINE_S, eventually
from tests.proxy import Proxy, proxy_before
from tests.redis_server import OwnRedis


@pytest.fixture
def proxy(own_redis: OwnRedis) -> Iterator[Proxy]:
    with proxy_before(own_redis.url) as proxy:
        yield proxy


def test_a_repair_that_fails_is_made_again(own_redis: OwnRedis, proxy: Proxy) -> None:
    transport = RedisTransport.open(proxy.url, {})
    consumer = transport.consume(["q"])
    transport.publish([call(f"id-{n}") for n in range(3)])

    # Once without faults, so that the server knows the scripts.
    consumer.give_back([each.tag for each in consumer.receive(10, 0.0).deliveries])

    for lost, reaches in ((Script.RESERVE, True), (Script.GIVE_BACK, False), (Script.GIVE_BACK, True)):
        proxy.swallow(lost.sha, reaches=reaches)
        with pytest.raises(OperationalError):
            consumer.receive(10, 0.0)
    proxy.swallow(None)

    assert len(consumer.receive(10, 0.0).deliveries) == 3
    consumer.close()
    transport.close()


def test_a_request_that_arrives_after_its_repair_is_repaired_too(own_redis: OwnRedis) -> None:
    transport = RedisTransport.open(own_redis.url, {})
    consumer = transport.consume(["q"])
    transport.publish([call("one")])
    with transport.server.borrowed() as link:  # one of an epoch that is over
        Script.RESERVE.run(
            link, transport.keys.fixed, 0.0, consumer.name, 0, 1, 10, 10.0, "[[],[]]", 0, "q", record_end("q")
        )

    assert consumer.receive(10, 0.0).deliveries == []
    consumer.renew()

    assert ids(consumer.receive(10, 0.0).deliveries) == ["one"]
    consumer.close()
    transport.close()


def test_what_is_being_received_while_a_look_for_the_dead_gets_no_reply_is_still_held(
    own_redis: OwnRedis, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    transport = RedisTransport.open(proxy.url, {})
    consumer = transport.consume(["q"])
    transport.publish([call("one")])
    consumer.recover()  # so that the server knows the script

    def look_in_vain(raws: list[bytes]) -> list[Envelope | DecodeError]:
        proxy.swallow(Script.SWEEP.sha)
        with pytest.raises(OperationalError):
            consumer.recover()
        proxy.swallow(None)
        return open_envelopes(raws)

    monkeypatch.setattr("celery_rs.transports.redis.consumer.open_envelopes", look_in_vain)
    tags = [each.tag for each in consumer.receive(10, 0.0).deliveries]

    assert consumer.holds(tags) == tags
    consumer.close()
    transport.close()


def test_orphans_whose_takeover_got_no_reply_are_found_also_after_a_repair(own_redis: OwnRedis, proxy: Proxy) -> None:
    transport = RedisTransport.open(proxy.url, {})
    dead, living = transport.consume(["q"]), transport.consume(["q"])
    transport.publish([call("one")])
    dead.begin([each.tag for each in dead.receive(1, 0.0).deliveries])
    dead.forget()
    own_redis.call("ZADD", "celery-rs.alive", 0, dead.name)  # as if it had closed
    with transport.server.borrowed() as link:
        link.call("SCRIPT", "LOAD", Script.ADOPT.source)

    proxy.swallow(Script.ADOPT.sha)
    with pytest.raises(OperationalError):
        living.recover()
    proxy.swallow(None)
    living.receive(1, 0.0)

    assert ids(living.recover().orphans) == ["one"]
    assert not living.recover().orphans
    living.close()
    transport.close()


def test_many_are_renewed_returned_and_dropped_piece_by_piece(own_redis: OwnRedis) -> None:
    transport = RedisTransport.open(own_redis.url, {})
    consumer = transport.consume(["q"])
    many = [f"id-{n}" for n in range(1300)]
    transport.publish([call(id) for id in many])
    held = consumer.receive(2000, 0.0).deliveries
    own_redis.call("ZADD", "unacked_index", *(part for each in held for part in (1, f"crs.{each.tag}")))

    assert consumer.renew() == []
    assert own_redis.call("ZCOUNT", "unacked_index", "-inf", 2) == 0

    consumer.give_back([each.tag for each in held])
    again = consumer.receive(2000, 0.0).deliveries
    assert ids(again) == many

    consumer.defer({each.tag: time.time() + 3600 for each in again})
    assert transport.purge("q") == len(many)
    assert own_redis.call("EXISTS", "unacked", "unacked_index", "celery-rs.delayed") == 0
    consumer.close()
    transport.close()


def test_nothing_is_moved_to_a_consumer_that_was_taken_for_dead_while_it_waited(
    own_redis: OwnRedis, proxy: Proxy
) -> None:
    lease = 1.0
    gone, living = (
        RedisTransport(Server.at(url, RedisOptions()), RedisOptions(), lease_s=lease)
        for url in (proxy.url, own_redis.url)
    )
    waits, takes = gone.consume(["q"]), living.consume(["q"])

    def wait() -> None:
        with suppress(OperationalError):
            waits.receive(1, DEADLINE_S)

    waiting = threading.Thread(target=wait)
    waiting.start()
    eventually(lambda: b"cmd=blmove" in own_redis.call("CLIENT", "LIST"))
    proxy.stall()  # as when its host is cut off: the server knows nothing of that

    def buried() -> bool:
        takes.renew()
        takes.recover()
        return own_redis.call("ZSCORE", "celery-rs.alive", waits.name) is None

    eventually(buried)
    living.publish([call("one")])

    assert len(takes.receive(1, DEADLINE_S).deliveries) == 1
    proxy.cut()
    waits.wake()
    waiting.join()
    waits.forget()
    takes.close()
    gone.close()
    living.close()


def test_a_call_after_a_restart_meets_no_connection_that_has_ended(own_redis: OwnRedis) -> None:
    transport = RedisTransport.open(own_redis.url, {})
    with transport.server.borrowed(), transport.server.borrowed(), transport.server.borrowed():
        pass  # three are kept
    own_redis.restart()

    began = time.monotonic()
    while time.monotonic() - began < 0.1:
        pass  # one that was used just now is not looked at
    transport.publish([call("one")])
    transport.publish([call("two")])

    assert transport.queues(["q"])["q"].ready == 2
    transport.close()


def test_a_server_that_lacks_a_command_says_so(tmp_path: Path) -> None:
    old = OwnRedis(tmp_path, "--rename-command", "RPOP", "OTHER")
    old.start()
    transport = RedisTransport.open(old.url, {})
    consumer = transport.consume(["q"])

    with pytest.raises(OperationalError, match=r"older than Redis 6\.2; upgrade it"):
        consumer.receive(1, 0.0)

    consumer.close()
    transport.close()
    old.close()


def test_what_came_for_a_consumer_after_it_was_taken_over_from_goes_back(tmp_path: Path) -> None:
    world = RedisWorld(tmp_path)
    stopped, other = world.consume("q"), world.consume("q")
    world.kill(stopped)
    world.recover(other)
    # It had only been stopped: it goes on, has a message moved to its list, and dies.
    world.transport().publish([call("a")])
    world.call(b"BLMOVE", f"{world.prefix}q", f"{world.prefix}celery-rs.wait.{stopped.name}.q", b"RIGHT", b"LEFT", 1)

    recovered = other.recover()

    assert recovered.returned == 1
    assert ids(other.receive(10, 0).deliveries) == ["a"]
    world.pass_time(7200)
    other.recover()
    assert world.call(b"HLEN", f"{world.prefix}celery-rs.consumers.gone") == 0
    world.close()
