"""AMQP messages that nobody should have sent: each is dealt with, its caller told, nothing lost, and the worker lives.

One worker for all of them. What an envelope can say wrongly is tried in `test_bad_messages`.
"""

import base64
import json
import random
import re
from collections.abc import Iterator

import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel

from celery_rs.transports import DeadLetter, DeadLetters
from celery_rs.transports.amqp.topology import DEAD
from celery_rs.wire import new_id
from tests import rabbitmq_vhosts
from tests.deadlines import DEADLINE_S, eventually
from tests.worker.odd_contents import BURIED, FAILS, RUNS, Content, bare
from tests.worker.process import Project, project_in


class Raw(pika.BasicProperties):  # type: ignore[misc]  # pika has no types
    """Properties as they are to go over the wire, right or wrong."""

    def __init__(self, encoded: bytes) -> None:
        super().__init__()
        self._encoded = encoded

    def encode(self) -> list[bytes]:
        return [self._encoded]


class Rig:
    """A project whose worker runs, and a way to put any message into its queue `celery`."""

    def __init__(self, project: Project, connection: pika.BlockingConnection) -> None:
        self.project = project
        self._connection = connection

    def push(self, *contents: Content) -> None:
        channel: BlockingChannel = self._connection.channel()
        for properties, body in contents:
            channel.basic_publish("", "celery", body, Raw(properties))
        channel.close()

    def complaints(self) -> list[str]:
        return re.findall(r"^\[\S+ \S+: (?:WARNING|ERROR|CRITICAL)/.*", self.project.log("odd"), re.MULTILINE)

    def new_letter(self) -> DeadLetter:
        """The only one there is; the others are gone, and so is this, after that."""
        dead: DeadLetters = self.project.app.transport.dead
        eventually(lambda: self.dead() == 1)
        (letter,) = dead.page(limit=10).letters
        dead.purge()
        return letter

    def dead(self) -> int:
        return self.project.app.transport.queues([DEAD])[DEAD].ready or 0

    def still_works(self) -> bool:
        return bool(self.project.proj.add.delay(1, 1).get(timeout=DEADLINE_S) == 2)


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    if not rabbitmq_vhosts.available():
        pytest.skip("no RabbitMQ that may be told to make virtual hosts: run `make test`")
    folder, host = tmp_path_factory.mktemp("odd"), rabbitmq_vhosts.fresh()
    url = rabbitmq_vhosts.url_of(host)
    settings = {"result_backend": f"sqlite:///{folder}/results.sqlite3"}
    with (
        pytest.MonkeyPatch.context() as patch,
        pika.BlockingConnection(pika.URLParameters(url)) as connection,
    ):
        patch.setenv("PROJ_SETTINGS", json.dumps(settings))
        with project_in(folder, patch, url) as project, project.worker("-c", "1", name="odd", settings=settings):
            yield Rig(project, connection)
    rabbitmq_vhosts.done_with(host)


@pytest.mark.parametrize("name", RUNS)
def test_an_odd_message_runs(rig: Rig, name: str) -> None:
    id = new_id()

    rig.push(RUNS[name].of(id))

    assert rig.project.app.AsyncResult(id).get(timeout=DEADLINE_S) == 3
    assert rig.dead() == 0


@pytest.mark.parametrize("name", FAILS)
def test_a_message_that_cannot_run_fails_for_its_caller_and_is_kept(rig: Rig, name: str) -> None:
    id = new_id()
    odd, complaints = FAILS[name].of(id), rig.complaints()

    rig.push(odd)
    result = rig.project.app.AsyncResult(id)
    eventually(result.ready)

    assert result.state == "FAILURE"
    letter = rig.new_letter()
    assert id in letter.envelope.decode()
    assert body_of(letter) == odd.body
    assert "\n" not in letter.detail
    assert rig.still_works()
    assert len(rig.complaints()) == len(complaints) + 1, rig.complaints()[len(complaints) :]


@pytest.mark.parametrize("name", BURIED)
def test_what_nobody_can_be_told_of_is_kept(rig: Rig, name: str) -> None:
    odd, complaints = BURIED[name], rig.complaints()

    rig.push(odd)

    letter = rig.new_letter()
    assert (letter.reason, body_of(letter)) == ("undecodable", odd.body)
    assert "\n" not in letter.detail
    assert rig.still_works()
    assert len(rig.complaints()) == len(complaints) + 1


def test_random_bytes_all_become_dead_letters(rig: Rig) -> None:
    chance = random.Random(2_000)
    count = 2_000

    rig.push(*(bare(chance.randbytes(chance.randrange(200))) for _ in range(count)))

    eventually(lambda: rig.dead() == count)
    assert rig.project.app.transport.dead.purge() == count
    assert rig.still_works()


def body_of(letter: DeadLetter) -> bytes:
    return base64.b64decode(json.loads(letter.envelope)["body"])
