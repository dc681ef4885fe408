"""Short delays in a Redis: kept to the moment, also when somebody is already waiting for messages."""

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from celery_rs.transports import Completion, Consumer, Tag
from celery_rs.transports.redis import RedisOptions, RedisTransport, Server
from tests.conformance.calls import call, ids
from tests.conformance.worlds import REDIS_URL, WORLDS
from tests.deadlines import DEADLINE_S

pytestmark = pytest.mark.skipif("redis" not in WORLDS, reason=f"there is no Redis at {REDIS_URL}")

Delay = Callable[[Consumer, Tag, float], None]


def defer(consumer: Consumer, tag: Tag, due: float) -> None:
    consumer.defer({tag: due})


def retry(consumer: Consumer, tag: Tag, due: float) -> None:
    consumer.finish([Completion(tag, followups=[call("a", not_before=due)])])


@pytest.fixture
def looked() -> threading.Event:
    """Set by whatever asks the server."""
    return threading.Event()


@pytest.fixture
def transport(looked: threading.Event) -> Iterator[RedisTransport]:
    prefix = f"delays-{secrets.token_hex(4)}:"
    options = RedisOptions(global_keyprefix=prefix)

    def skew() -> float:
        looked.set()
        return 0.0

    transport = RedisTransport(Server.at(REDIS_URL, options), options, skew=skew)
    yield transport
    with transport.server.borrowed() as link:
        _, keys = link.call(b"SCAN", b"0", b"MATCH", f"{prefix}*", b"COUNT", 100_000)
        link.call(b"UNLINK", "nothing", *keys)
    transport.close()


@pytest.mark.parametrize("delay", [defer, retry])
def test_who_waits_learns_of_what_is_due_soon(transport: RedisTransport, looked: threading.Event, delay: Delay) -> None:
    transport.publish([call("a")])
    consumer = transport.consume(["q"])
    (delivery,) = consumer.receive(1, 0).deliveries
    with ThreadPoolExecutor() as threads:
        looked.clear()
        waiting = threads.submit(_receive, consumer)
        assert looked.wait(DEADLINE_S)
        due = time.time() + 0.2

        delay(consumer, delivery.tag, due)

        came, at = waiting.result(10)
    assert came == ["a"]
    assert due - 0.01 <= at < due + 0.5, "a look is made every second"
    consumer.close()


def _receive(consumer: Consumer) -> tuple[list[str], float]:
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        found = consumer.receive(1, DEADLINE_S).deliveries
        if found:
            return ids(found), time.time()
    return [], time.time()
