"""A queue that a RabbitMQ does not let be used, or that AMQP has no words for, is an error that costs nothing else."""

from collections.abc import Iterator

import pika
import pytest

from celery_rs.errors import ImproperlyConfigured
from celery_rs.transports import QueueRefused
from celery_rs.transports.amqp import AmqpOptions, AmqpTransport, Server
from celery_rs.wire import Exchange, Queue
from tests import rabbitmq_vhosts
from tests.conformance.calls import call, ids
from tests.deadlines import DEADLINE_S

pytestmark = pytest.mark.skipif(not rabbitmq_vhosts.available(), reason="no RabbitMQ that may be told to make vhosts")


@pytest.fixture
def url() -> Iterator[str]:
    name = rabbitmq_vhosts.fresh()
    yield rabbitmq_vhosts.url_of(name)
    rabbitmq_vhosts.done_with(name)


@pytest.fixture
def transport(url: str) -> Iterator[AmqpTransport]:
    transport = AmqpTransport(Server(url, AmqpOptions()))
    yield transport
    transport.close()


def test_a_consumer_goes_on_with_the_queues_that_it_had(transport: AmqpTransport, url: str) -> None:
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        connection.channel().queue_declare("other", durable=True, arguments={"x-max-priority": 5})
    consumer = transport.consume(["q"])

    with pytest.raises(QueueRefused, match="queue 'other' is there already with another 'x-max-priority'"):
        consumer.listen_to(["other"])

    transport.publish([call("here")])
    assert ids(consumer.receive(1, DEADLINE_S).deliveries) == ["here"]
    consumer.close()


@pytest.mark.parametrize(
    "queue",
    [
        Queue("q" * 300),
        Queue("q", Exchange("e" * 300), routing_key="k"),
        Queue("q", Exchange("e"), routing_key="k" * 300),
        Queue("q", queue_arguments={"x": 1.5}),
        Queue("q", queue_arguments={"x": 2**80}),
    ],
    ids=["its name", "its exchange", "its key", "a fraction", "a large number"],
)
def test_what_cannot_be_written_in_amqp_is_said_in_a_line(transport: AmqpTransport, queue: Queue) -> None:
    with pytest.raises(
        ImproperlyConfigured, match="expected names of 255 bytes at most, and arguments that are"
    ) as raised:
        transport.declare([queue])

    transport.publish([call("next", queue="another")])
    assert len(str(raised.value)) < 250
