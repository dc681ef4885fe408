"""Users who may not do everything: what helps is done without, and no message stays behind."""

import threading
from pathlib import Path

import pytest

from celery_rs import Celery, states
from celery_rs.errors import OperationalError
from celery_rs.transports import Completion
from celery_rs.transports.redis import RedisTransport
from celery_rs.wire import Exchange, TaskResult, encode_meta
from tests.conformance.calls import call, ids
from tests.deadlines import DEADLINE_S
from tests.redis_server import OwnRedis


@pytest.mark.parametrize("forbidden", ["client|id", "client|unblock", "client|tracking", "script", "info", "config"])
def test_a_user_who_may_do_most_receives_and_finishes(own_redis: OwnRedis, forbidden: str) -> None:
    own_redis.call("ACL", "SETUSER", "me", "on", ">pw", "~*", "&*", "+@all", f"-{forbidden}")
    transport = RedisTransport.open(own_redis.url.replace("//", "//me:pw@"), {})
    consumer = transport.consume([f"q{n}" for n in range(10)])
    transport.advice()
    late = threading.Timer(0.2, transport.publish, [[call("a", "q0"), call("b", "q9")]])
    late.start()

    received: list[str] = []
    while len(received) < 2:
        deliveries = consumer.receive(10, DEADLINE_S).deliveries
        assert deliveries, "it came within its second"
        received += ids(deliveries)
        assert set(consumer.finish([Completion(each.tag) for each in deliveries])) == {"committed"}

    assert sorted(received) == ["a", "b"]
    late.join()
    consumer.close()
    transport.close()


def test_a_user_who_may_not_subscribe_is_told_so_at_once(own_redis: OwnRedis) -> None:
    own_redis.call("ACL", "SETUSER", "me", "on", ">pw", "~*", "+@all", "resetchannels")
    transport = RedisTransport.open(own_redis.url.replace("//", "//me:pw@"), {})

    with pytest.raises(OperationalError, match="widen its ACL"):
        transport.subscribe(Exchange("news", "fanout"), "#")
    transport.close()


def test_a_list_of_replies_that_is_none_is_named(own_redis: OwnRedis) -> None:
    transport = RedisTransport.open(own_redis.url, {})
    replies = transport.subscribe(Exchange("replies", "direct"), "key", "mine")
    own_redis.call("SET", "mine", "no list")

    with pytest.raises(OperationalError, match="a key holds something else"):
        replies.receive(1.0)
    replies.close()
    transport.close()


def test_a_user_who_may_not_run_a_command_of_a_script_is_told_what_to_do(own_redis: OwnRedis) -> None:
    own_redis.call("ACL", "SETUSER", "me", "on", ">pw", "~*", "&*", "+@all", "-time")
    transport = RedisTransport.open(own_redis.url.replace("//", "//me:pw@"), {})

    with pytest.raises(OperationalError, match="widen its ACL"):
        transport.consume(["q"])
    transport.close()


def done(id: str, result: object) -> TaskResult:
    return TaskResult(id, states.SUCCESS, 0, encode_meta(id, states.SUCCESS, result, now=0.0))


def test_results_come_from_a_server_that_pushes_nothing(tmp_path: Path) -> None:
    server = OwnRedis(tmp_path, "--rename-command", "HELLO", "")
    server.start()
    try:
        app = Celery("mute", broker=server.url, backend=server.url, set_as_current=False)
        first, second = app.AsyncResult("first"), app.AsyncResult("second")
        late = threading.Timer(0.3, app.backend.store, [[done("first", 1)]])
        late.start()
        assert first.get(timeout=DEADLINE_S) == 1
        late.join()
        app.backend.store([done("second", 2)])
        assert second.get(timeout=DEADLINE_S) == 2
        app.close()
    finally:
        server.stop()
