"""Work that lasts longer than a RabbitMQ waits for its acknowledgement."""

from collections.abc import Iterator

import pytest

from celery_rs.transports import Completion
from celery_rs.transports.amqp import AmqpOptions, AmqpTransport, Server
from tests import rabbitmq_vhosts
from tests.conformance.calls import call, ids
from tests.deadlines import DEADLINE_S, eventually

pytestmark = pytest.mark.skipif(not rabbitmq_vhosts.available(), reason="no RabbitMQ that may be told to make vhosts")


@pytest.fixture
def transport() -> Iterator[AmqpTransport]:
    name = rabbitmq_vhosts.fresh()
    options = AmqpOptions.of({"consumer_timeout": 0.003, "begun_ttl_s": 30.0})
    transport = AmqpTransport(Server(rabbitmq_vhosts.url_of(name), options))
    yield transport
    transport.close()
    rabbitmq_vhosts.done_with(name)


def test_what_runs_for_long_is_delivered_to_its_worker_anew_and_ends_once(transport: AmqpTransport) -> None:
    consumer = transport.consume(["q"])
    transport.publish([call("a")])
    (delivery,) = consumer.receive(1, DEADLINE_S).deliveries
    consumer.begin([delivery.tag], late=True)

    for _ in range(3):
        assert not consumer.renew()
        assert not consumer.receive(1, 0.0).deliveries
    assert list(consumer.finish([Completion(delivery.tag)])) == ["committed"]

    begun = f"celery_rs.begun.{consumer.name}"
    eventually(lambda: not consumer.receive(1, 0.0).deliveries)
    consumer.forget()
    assert transport.queues([begun])[begun].ready == 0


def test_what_runs_for_long_comes_back_once_when_its_worker_dies(transport: AmqpTransport) -> None:
    consumer, other = transport.consume(["q"]), transport.consume(["another"])
    transport.publish([call("a")])
    (delivery,) = consumer.receive(1, DEADLINE_S).deliveries
    consumer.begin([delivery.tag], late=True)
    for _ in range(10):
        consumer.renew()

    begun = f"celery_rs.begun.{consumer.name}"
    consumer.forget()
    eventually(lambda: transport.queues([begun])[begun].ready == 1)
    assert not ids(other.receive(1, 0.0).deliveries)
    other.forget()
