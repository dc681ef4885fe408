"""What a quorum queue has taken back too often is published anew, before it could be dropped; with every message."""

from pathlib import Path
from types import MappingProxyType

import pytest

from tests import rabbitmq_vhosts
from tests.conformance.calls import call
from tests.conformance.rabbitmq import QuorumWorld

pytestmark = pytest.mark.skipif(not rabbitmq_vhosts.available(), reason="no RabbitMQ listens that obeys us")

LIMIT = 3
MANY = 60
AT_ONCE = 7


class LimitedWorld(QuorumWorld):
    """Its quorum queues drop what has come back more often than the limit."""

    arguments = MappingProxyType({**QuorumWorld.arguments, "x-delivery-limit": LIMIT})


def test_no_message_is_dropped_though_few_come_at_once_and_every_consumer_dies(tmp_path: Path) -> None:
    world = LimitedWorld(tmp_path)
    world.transport().publish([call(f"{n}", "q") for n in range(MANY)])
    try:
        for _ in range(2 * LIMIT):
            dying = world.consume("q")
            held = 0
            while held < MANY and (deliveries := dying.receive(AT_ONCE, 2.0).deliveries):
                held += len(deliveries)
            world.kill(dying)

        last, left = world.consume("q"), set()
        while len(left) < MANY and (deliveries := last.receive(AT_ONCE, 2.0).deliveries):
            left |= {delivery.envelope.id for delivery in deliveries}
    finally:
        world.close()

    assert left == {f"{n}" for n in range(MANY)}
