"""What a quorum queue has taken back too often is published anew, before it could be dropped; with every message."""

from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType

import pytest

from celery_rs.transports import Consumer
from tests import rabbitmq_vhosts
from tests.conformance.calls import call, ids
from tests.conformance.rabbitmq import QuorumWorld
from tests.deadlines import DEADLINE_S

pytestmark = pytest.mark.skipif(not rabbitmq_vhosts.available(), reason="no RabbitMQ listens that obeys us")

LIMIT = 3
MANY = 60
AT_ONCE = 7


class LimitedWorld(QuorumWorld):
    """Its quorum queues drop what has come back more often than the limit."""

    arguments = MappingProxyType({**QuorumWorld.arguments, "x-delivery-limit": LIMIT})


@pytest.fixture
def world(tmp_path: Path) -> Iterator[LimitedWorld]:
    """With a message of each number in its queue."""
    world = LimitedWorld(tmp_path)
    world.transport().publish([call(f"{n}", "q") for n in range(MANY)])
    yield world
    world.close()


def test_no_message_is_dropped_though_few_come_at_once_and_every_consumer_dies(world: LimitedWorld) -> None:
    for _ in range(2 * LIMIT):
        dying = world.consume("q")
        taken(dying)
        world.kill(dying)

    assert taken(world.consume("q")) == {f"{n}" for n in range(MANY)}


def test_no_message_is_dropped_though_every_consumer_stops_before_it_has_begun_any(world: LimitedWorld) -> None:
    for _ in range(7 * LIMIT):
        stopping = world.consume("q")
        taken(stopping)
        stopping.close()

    assert taken(world.consume("q")) == {f"{n}" for n in range(MANY)}


def taken(consumer: Consumer) -> set[str]:
    """Every message, if it comes."""
    arrived: set[str] = set()
    while len(arrived) < MANY and (deliveries := consumer.receive(AT_ONCE, DEADLINE_S).deliveries):
        arrived.update(ids(deliveries))
    return arrived
