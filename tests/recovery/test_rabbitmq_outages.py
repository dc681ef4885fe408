"""A RabbitMQ restarts, crashes, hangs or is short of memory while workers and callers need it."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from celery_rs.errors import OperationalError
from tests.deadlines import SOON_S, eventually
from tests.rabbitmq_server import OwnRabbitMQ
from tests.recovery.rabbitmq_fleet import RabbitFleet
from tests.recovery.redis_fleet import EARLY, LATE
from tests.redis_server import OwnRedis

TASKS = 5_000


@pytest.mark.parametrize("end", [OwnRabbitMQ.stop, OwnRabbitMQ.kill])
def test_nothing_is_lost_when_rabbitmq_starts_anew_in_the_middle(
    tmp_path: Path, own_rabbitmq: OwnRabbitMQ, some_redis: OwnRedis, end: Callable[[OwnRabbitMQ], None]
) -> None:
    with RabbitFleet(tmp_path, own_rabbitmq, some_redis) as fleet:
        linked = [fleet.linked(task, 0.02) for task in (LATE, EARLY) * 20]
        ids = linked + fleet.send_many(LATE, TASKS // 2) + fleet.send_many(EARLY, TASKS // 2)
        assert fleet.app.transport.flush(30.0) == 0
        with fleet.worker("one", "-c", "2"), fleet.worker("two", "-c", "2"):
            eventually(lambda: len(fleet.started()) > TASKS // 4)
            end(own_rabbitmq)
            eventually(lambda: all("trying again" in fleet.log(name).lower() for name in ("one", "two")))
            own_rabbitmq.start()
            back, before = time.monotonic(), fleet.started()
            eventually(lambda: len(fleet.started() - before) > 20)
            resumed = time.monotonic() - back
            fleet.wait_for(ids)
            eventually(lambda: set(fleet.followed()) == set(linked))
            eventually(fleet.empty)
            records = fleet.app.backend.fetch(ids)

    (tmp_path / "figures").write_text(f"resumed {resumed:.2f} s, again {len(fleet.read().repeated())} of {len(ids)}")
    assert resumed < SOON_S
    assert set(records) == set(ids)
    assert {record.state for record in records.values()} == {"SUCCESS"}


@contextmanager
def gone(rabbitmq: OwnRabbitMQ) -> Iterator[None]:
    rabbitmq.kill()
    yield
    rabbitmq.start()


@contextmanager
def hanging(rabbitmq: OwnRabbitMQ) -> Iterator[None]:
    rabbitmq.pause()
    yield
    rabbitmq.resume()


@pytest.mark.parametrize("fault", [gone, hanging])
@pytest.mark.parametrize("known", [True, False], ids=["used before", "first call"])
def test_a_call_that_is_to_be_confirmed_gives_up_after_five_seconds(
    tmp_path: Path,
    own_rabbitmq: OwnRabbitMQ,
    some_redis: OwnRedis,
    fault: Callable[[OwnRabbitMQ], AbstractContextManager[None]],
    known: bool,
) -> None:
    confirmed = {"broker_transport_options": {"confirm_publish": True}}
    with RabbitFleet(tmp_path, own_rabbitmq, some_redis, **confirmed) as fleet:
        if known:
            fleet.send(LATE, 0.0)
        with fault(own_rabbitmq):
            began = time.monotonic()
            with pytest.raises(OperationalError) as raised:
                fleet.send(LATE, 0.0)
            took = time.monotonic() - began

        fleet.send(LATE, 0.0)
        assert fleet.ready() >= 1 + known

    assert took < SOON_S
    assert str(raised.value).startswith("broker amqp://guest:********@127.0.0.1:")
    assert "\n" not in str(raised.value)


def test_a_call_in_a_short_outage_arrives(tmp_path: Path, own_rabbitmq: OwnRabbitMQ, some_redis: OwnRedis) -> None:
    with RabbitFleet(tmp_path, own_rabbitmq, some_redis) as fleet:
        fleet.send(LATE, 0.0)
        assert fleet.app.transport.flush(20.0) == 0  # else it is sent again, and comes twice
        own_rabbitmq.pause()
        fleet.send(LATE, 0.0)
        own_rabbitmq.kill()
        own_rabbitmq.start()

        assert fleet.app.transport.flush(20.0) == 0
        assert fleet.ready() == 2


def test_a_rabbitmq_short_of_memory_refuses_calls_and_lets_workers_go_on(
    tmp_path: Path, own_rabbitmq: OwnRabbitMQ, some_redis: OwnRedis
) -> None:
    with RabbitFleet(tmp_path, own_rabbitmq, some_redis) as fleet, fleet.worker("one", "-c", "2"):
        fleet.wait_for([fleet.linked(LATE)])
        ids = fleet.send_many(LATE, 100, 0.02) + fleet.send_many(EARLY, 100, 0.02)
        assert fleet.app.transport.flush(10.0) == 0
        own_rabbitmq.ctl("set_vm_memory_high_watermark", "0.0001")
        began = time.monotonic()
        with pytest.raises(OperationalError) as raised:
            send_for_ever(fleet)  # the broker says it to who publishes next
        took = time.monotonic() - began
        own_rabbitmq.ctl("set_vm_memory_high_watermark", "0.9")
        more = [*fleet.send_many(EARLY, 20), fleet.linked(LATE)]
        fleet.wait_for([*ids, *more])
        eventually(fleet.empty)

    said = str(raised.value)
    assert took < SOON_S
    assert said.startswith("broker amqp://guest:********@127.0.0.1:")
    assert said.endswith("takes no messages now: it is low on memory; try again when it has recovered")
    assert fleet.read().repeated() == set()


def test_a_call_waits_for_a_short_alarm(tmp_path: Path, own_rabbitmq: OwnRabbitMQ, some_redis: OwnRedis) -> None:
    with RabbitFleet(tmp_path, own_rabbitmq, some_redis) as fleet:
        fleet.send(LATE, 0.0)
        own_rabbitmq.ctl("set_vm_memory_high_watermark", "0.0001")
        fleet.send(LATE, 0.0)  # the broker says it to who publishes next
        own_rabbitmq.ctl("set_vm_memory_high_watermark", "0.9")
        fleet.send(LATE, 0.0)

        assert fleet.app.transport.flush(20.0) == 0
        assert fleet.ready() == 3


def send_for_ever(fleet: RabbitFleet) -> None:
    while True:
        fleet.send(LATE, 0.0)
