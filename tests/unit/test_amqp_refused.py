"""A message that a RabbitMQ refuses ends the channel it came on; those that were sent beside it arrive."""

import logging
from collections.abc import Iterator

import pytest

from celery_rs.errors import OperationalError
from celery_rs.transports.amqp import AmqpOptions, AmqpTransport, Server
from tests import rabbitmq_vhosts
from tests.conformance.calls import call, ids

pytestmark = pytest.mark.skipif(not rabbitmq_vhosts.available(), reason="no RabbitMQ that may be told to make vhosts")

REFUSED = b'{"CC": 5}'
"""A header that RabbitMQ wants to be a list of routing keys."""


@pytest.fixture
def transport() -> Iterator[AmqpTransport]:
    name = rabbitmq_vhosts.fresh()
    transport = AmqpTransport(Server(rabbitmq_vhosts.url_of(name), AmqpOptions()))
    yield transport
    transport.close()
    rabbitmq_vhosts.done_with(name)


def arrived(transport: AmqpTransport) -> set[str]:
    consumer = transport.consume(["q"])
    found: set[str] = set()
    while deliveries := consumer.receive(100, 0.5).deliveries:
        found.update(ids(deliveries))
    consumer.close()
    return found


def test_whoever_waits_for_its_confirm_is_told_why(transport: AmqpTransport) -> None:
    with pytest.raises(OperationalError, match=r"refused: invalid message: .*CC.*signedint"):
        transport.publish([call("refused", headers=REFUSED)])

    transport.publish([call("next")])
    assert arrived(transport) == {"next"}


def test_where_nobody_waits_a_line_says_so_and_the_others_arrive(
    transport: AmqpTransport, caplog: pytest.LogCaptureFixture
) -> None:
    sent = {f"before {n}" for n in range(5)}, {f"after {n}" for n in range(5)}
    first, last = ([call(id) for id in sorted(each)] for each in sent)

    with caplog.at_level(logging.ERROR):
        transport.publish(
            [*first, call("refused", headers=REFUSED), call("too", headers=REFUSED), *last], wait="written"
        )
        assert transport.flush(10.0) == 0

    assert arrived(transport) == sent[0] | sent[1]
    lines = [record.getMessage() for record in caplog.records if record.name == "celery_rs.amqp"]
    assert len(lines) == 2
    assert all(line.endswith("the message for 'q' is lost") for line in lines)


@pytest.mark.parametrize("milliseconds", ["9999999999999", "soon"])
def test_a_message_whose_time_to_live_no_rabbitmq_takes_has_none(transport: AmqpTransport, milliseconds: str) -> None:
    transport.publish([call("lasting", expiration=milliseconds)])

    assert arrived(transport) == {"lasting"}
