"""migrate: tasks move between brokers whole, and are never in neither."""

import json
from pathlib import Path
from typing import Any

import pytest

from celery_rs._core import DecodeError, Envelope
from celery_rs.app import Celery
from celery_rs.errors import OperationalError
from celery_rs.transports import Delivery, open_transport
from celery_rs.transports.memory import MemoryTransport
from celery_rs.transports.memory.consumer import MemoryConsumer
from tests.cli.conftest import Run, error_of


def app_on(broker: str) -> Celery:
    return Celery("mover", broker=broker, set_as_current=False)


def taken(broker: str, queue: str = "celery") -> list[Envelope]:
    """What is ready in a queue."""
    consumer = open_transport(broker, {}).consume([queue])
    envelopes = [delivery.envelope for delivery in consumer.receive(100, 0).deliveries]
    consumer.close()
    assert not any(isinstance(envelope, DecodeError) for envelope in envelopes)
    return [envelope for envelope in envelopes if isinstance(envelope, Envelope)]


@pytest.fixture
def target(broker: str) -> str:
    return f"{broker}-target"


def without_place(envelope: Envelope) -> dict[str, Any]:
    """All that is the task's own: where it lies, and the tag it has there, is not."""
    message = json.loads(envelope.raw)
    for key in ("delivery_info", "delivery_tag"):
        message["properties"].pop(key)
    return dict(message)


def test_a_task_arrives_as_it_was_sent(run: Run, broker: str, target: str) -> None:
    app_on(broker).send_task(
        "proj.add", (1, "ü"), {"x": [2]}, priority=3, headers={"mine": 1}, time_limit=9, soft_time_limit=5, expires=3600
    )
    (sent,) = taken(broker)

    result = run("migrate", "-t", "0", broker, target)

    (arrived,) = taken(target)
    assert without_place(arrived) == without_place(sent)
    assert arrived.body == sent.body
    assert (arrived.exchange, arrived.routing_key) == ("", "celery")
    assert result.stdout.startswith("Migrated 1 task from memory://")
    assert taken(broker) == []


def test_the_order_stays(run: Run, broker: str, target: str) -> None:
    ids = [app_on(broker).send_task("proj.add", (number,)).id for number in range(250)]

    run("migrate", "-t", "0", broker, target)

    consumer = open_transport(target, {}).consume(["celery"])
    assert [one.envelope.id for one in consumer.receive(300, 0).deliveries] == ids  # type: ignore[union-attr]  # all ours


def test_a_limit_is_kept(run: Run, broker: str, target: str) -> None:
    for _ in range(3):
        app_on(broker).send_task("proj.add")

    assert json.loads(run("migrate", "-t", "0", "-n", "2", "--json", broker, target).stdout) == {"moved": {"celery": 2}}
    assert len(taken(broker)) == 1


def test_only_the_tasks_that_are_named_move(run: Run, broker: str, target: str) -> None:
    for name in ("proj.stays", "proj.goes", "proj.stays"):
        app_on(broker).send_task(name)

    run("migrate", "-t", "0", "-T", "proj.goes", broker, target)

    assert [envelope.task for envelope in taken(target)] == ["proj.goes"]
    assert [envelope.task for envelope in taken(broker)] == ["proj.stays", "proj.stays"]


def test_queues_are_chosen_and_renamed(run: Run, broker: str, target: str) -> None:
    for queue in ("a", "b", "c"):
        app_on(broker).send_task(f"proj.{queue}", queue=queue)

    run("migrate", "-t", "0", "-Q", "a,b:d", broker, target)

    assert [envelope.task for queue in ("a", "d") for envelope in taken(target, queue)] == ["proj.a", "proj.b"]
    assert [envelope.task for envelope in taken(broker, "c")] == ["proj.c"]


def test_what_is_delayed_stays_and_is_told(run: Run, broker: str, target: str) -> None:
    app_on(broker).send_task("proj.add", countdown=3600)

    result = run("migrate", "-t", "0", broker, target)

    assert result.stdout.startswith("Migrated 0 tasks")
    assert result.stderr.startswith("Left in queue 'celery': 1 delayed, 0 held by workers")


def test_an_eta_in_the_past_is_no_obstacle(run: Run, broker: str, target: str) -> None:
    app_on(broker).send_task("proj.add", countdown=-5)

    run("migrate", "-t", "0", broker, target)

    assert len(taken(target)) == 1


def test_a_message_leaves_only_when_it_has_arrived(
    run: Run, monkeypatch: pytest.MonkeyPatch, broker: str, target: str
) -> None:
    app_on(broker).send_task("proj.add")

    def refuse(*_: Any, **__: Any) -> None:
        raise OperationalError("the destination is gone")

    monkeypatch.setattr(MemoryTransport, "publish", refuse)
    error = error_of(run("migrate", "-t", "0", broker, target), 69)

    assert error == "the destination is gone"
    assert len(taken(broker)) == 1


def test_a_message_is_in_both_brokers_before_it_leaves_the_first(
    run: Run, monkeypatch: pytest.MonkeyPatch, broker: str, target: str
) -> None:
    app_on(broker).send_task("proj.add")

    def refuse(*_: Any, **__: Any) -> None:
        raise OperationalError("the source is gone")

    monkeypatch.setattr(MemoryConsumer, "finish", refuse)
    error = error_of(run("migrate", "-t", "0", broker, target), 69)

    assert error == "the source is gone"
    assert len(taken(target)) == len(taken(broker)) == 1


def test_from_file_to_file(run: Run, tmp_path: Path) -> None:
    old, new = (f"sqlite:///{tmp_path}/{name}.sqlite3" for name in ("old", "new"))
    sender = app_on(old)
    sender.send_task("proj.add", (1,))
    sender.close()

    assert run("migrate", "-t", "0", old, new).exit_code == 0

    transport = open_transport(new, {})
    consumer = transport.consume(["celery"])
    (delivery,) = consumer.receive(10, 0).deliveries
    assert isinstance(delivery, Delivery)
    consumer.close()
    transport.close()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("memory://x", "memory://x"), "expected two brokers, got memory://x"),
        (("memory://x", "sqs://h"), "brokers like sqs:// are not supported yet"),
        (("nonsense", "memory://x"), "expected a broker URL such as"),
        (("sqlite:///no/such.sqlite3", "memory://x"), "there is no database sqlite:///"),
        (("memory://x", "memory://y", "-Q", "a:"), "expected a queue or two as in 'a:b' for -Q, got 'a:'"),
    ],
)
def test_a_mistake_is_told_before_anything_moves(run: Run, words: tuple[str, ...], said: str) -> None:
    app_on("memory://x").transport.purge("celery")
    app_on("memory://x").send_task("proj.add")

    assert said in error_of(run("migrate", "-t", "0", *words), 2)
