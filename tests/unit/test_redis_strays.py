"""Messages that no queue of a Redis is bound to, where Kombu's `deadletter_queue` says where they go."""

import secrets
from collections.abc import Iterator

import pytest

from celery_rs.errors import Unroutable
from celery_rs.transports.redis import RedisTransport
from tests.conformance.calls import call, ids
from tests.conformance.worlds import REDIS_URL, WORLDS

pytestmark = pytest.mark.skipif("redis" not in WORLDS, reason=f"there is no Redis at {REDIS_URL}")


@pytest.fixture
def prefix() -> Iterator[str]:
    prefix = f"strays-{secrets.token_hex(4)}:"
    yield prefix
    with RedisTransport.open(REDIS_URL, {}).server.borrowed() as link:
        link.call(b"UNLINK", "nothing", *link.call(b"KEYS", f"{prefix}*"))


def test_they_go_to_the_queue_that_is_named(prefix: str) -> None:
    transport = RedisTransport.open(REDIS_URL, {"global_keyprefix": prefix, "deadletter_queue": "strays"})

    transport.publish([call("a", "key", exchange="unbound")])

    consumer = transport.consume(["strays"])
    assert ids(consumer.receive(1, 0).deliveries) == ["a"]
    consumer.close()
    transport.close()


def test_without_one_they_are_refused(prefix: str) -> None:
    transport = RedisTransport.open(REDIS_URL, {"global_keyprefix": prefix})

    with pytest.raises(Unroutable, match="no queue is bound to exchange 'unbound'"):
        transport.publish([call("a", "key", exchange="unbound")])
    transport.close()
