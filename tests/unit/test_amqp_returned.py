"""What no queue takes, of calls that nobody waits for: it is tried once more, and then it is a dead letter."""

import threading
from collections.abc import Iterator

import pika
import pytest

from celery_rs.errors import OperationalError
from celery_rs.transports.amqp import AmqpOptions, AmqpTransport, Server
from celery_rs.transports.amqp.unconfirmed import Publish
from celery_rs.wire import Queue
from tests import rabbitmq_vhosts
from tests.conformance.calls import call, ids
from tests.deadlines import DEADLINE_S, eventually
from tests.recovery.rabbitmq_fleet import delete_queue

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


def test_each_is_one_dead_letter_though_many_flush_at_once(transport: AmqpTransport, url: str) -> None:
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        connection.channel().exchange_declare("nowhere")
    sent = [f"m{number:03}" for number in range(100)]
    flushing = [threading.Thread(target=transport.flush, args=(10.0,)) for _ in range(4)]

    transport.publish([call(id, exchange="nowhere") for id in sent], wait="written")
    for thread in flushing:
        thread.start()
    for thread in flushing:
        thread.join()

    letters = transport.dead.page(limit=1000).letters
    assert sorted(str(letter.task_id) for letter in letters) == sent
    assert {letter.reason for letter in letters} == {"unroutable"}


def test_a_second_try_that_fails_is_made_again(
    transport: AmqpTransport, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    transport.declare([Queue("q")])
    transport.publish([call("first")])
    delete_queue(url, "q")
    publisher = transport._publisher
    write, failures = publisher._write, iter([None, OperationalError("the connection was lost")])

    def write_if_it_can(*arguments: object) -> None:
        if (failure := next(failures, None)) is not None:
            raise failure
        write(*arguments)  # type: ignore[arg-type]  # what it was called with

    monkeypatch.setattr(publisher, "_write", write_if_it_can)
    transport.publish([call("second")], wait="written")

    assert transport.flush(10.0) == 0
    consumer = transport.consume(["q"])
    assert ids(consumer.receive(1, DEADLINE_S).deliveries) == ["second"]
    consumer.close()


def test_many_that_came_back_have_their_queue_declared_once(
    transport: AmqpTransport, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    transport.declare([Queue("q")])
    transport.publish([call("first")])
    delete_queue(url, "q")
    publisher = transport._publisher
    redeclare, declared = publisher._redeclare, []

    def count(publish: Publish, until: float) -> bool:
        declared.append(publish.needs)
        return redeclare(publish, until)

    monkeypatch.setattr(publisher, "_redeclare", count)
    sent = [f"m{number:03}" for number in range(300)]
    with publisher._bringing_back:
        transport.publish([call(id) for id in sent], wait="written")
        eventually(lambda: publisher._alive() is not None and len(publisher._lost_ones) == len(sent))

    assert transport.flush(10.0) == 0
    assert declared == [("", "q")]
    consumer = transport.consume(["q"])
    came: list[str] = []
    while len(came) < len(sent):
        came += ids(consumer.receive(len(sent), DEADLINE_S).deliveries)
    consumer.close()
    assert sorted(came) == sent
