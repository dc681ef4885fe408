"""Remote control of a worker on a RabbitMQ, where a broker may refuse what is asked for."""

from collections.abc import Iterator
from pathlib import Path

import pika
import pytest

from tests import rabbitmq_vhosts
from tests.worker.process import Project, project_in


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    if not rabbitmq_vhosts.available():
        pytest.skip("no RabbitMQ listens that obeys us: run `make test`")
    place = rabbitmq_vhosts.fresh()
    with project_in(tmp_path, monkeypatch, rabbitmq_vhosts.url_of(place)) as project:
        yield project
    rabbitmq_vhosts.done_with(place)


def test_who_adds_a_queue_that_the_broker_refuses_is_told_so(project: Project) -> None:
    with pika.BlockingConnection(pika.URLParameters(project.app.conf["broker_url"])) as connection:
        connection.channel().queue_declare("other", durable=True, arguments={"x-max-priority": 5})

    with project.worker("-c", "1", settings={"result_backend": "rpc://"}):
        (reply,) = project.app.control.add_consumer("other", reply=True, timeout=10, limit=1)

    (told,) = reply.values()
    assert "queue 'other' is there already with another 'x-max-priority'" in told["error"]
