"""The stream in which a RabbitMQ keeps facts may be lost, with everything in it."""

from collections.abc import Iterator

import pytest

from celery_rs.transports import Fact
from celery_rs.transports.amqp import AmqpOptions, AmqpTransport, Server, facts
from celery_rs.transports.amqp.topology import FACTS
from tests import rabbitmq_vhosts
from tests.deadlines import eventually
from tests.recovery.rabbitmq_fleet import delete_queue

pytestmark = pytest.mark.skipif(not rabbitmq_vhosts.available(), reason="no RabbitMQ that may be told to make vhosts")


@pytest.fixture
def url() -> Iterator[str]:
    name = rabbitmq_vhosts.fresh()
    yield rabbitmq_vhosts.url_of(name)
    rabbitmq_vhosts.done_with(name)


def test_a_worker_that_finds_another_stream_reads_it_from_its_start(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "_PATIENCE_S", 1.0)
    worker, other = (AmqpTransport(Server(url, AmqpOptions())) for _ in range(2))
    consumer = worker.consume(["q"])
    for number in range(5):
        other.facts.put("revoked", f"old {number}", b"")
    eventually(lambda: len(worker.facts.since(0)[1]) == 5)

    delete_queue(url, FACTS)
    consumer.forget()
    other.facts.put("revoked", "new", b"")
    version = consumer.receive(1, 0.0).facts
    assert Fact("revoked", "new", b"", None) in worker.facts.since(0)[1]

    other.facts.put("revoked", "later", b"")
    eventually(lambda: consumer.receive(1, 0.5).facts > version)
    assert Fact("revoked", "later", b"", None) in worker.facts.since(0)[1]
    consumer.close()
    worker.close()
    other.close()
