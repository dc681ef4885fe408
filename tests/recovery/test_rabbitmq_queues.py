"""What RabbitMQ does to queues and messages by its own rules: it counts returns, and obeys who deletes."""

import time
from pathlib import Path

from celery_rs.transports.amqp.topology import DEAD
from tests.deadlines import SOON_S, eventually
from tests.rabbitmq_vhosts import Vhost
from tests.recovery.rabbitmq_fleet import RabbitFleet, delete_queue
from tests.recovery.redis_fleet import EARLY, LATE
from tests.redis_server import OwnRedis

LIMIT = 5
LIMITED = {"task_queues": {"celery": {"queue_arguments": {"x-queue-type": "quorum", "x-delivery-limit": LIMIT}}}}
RESTARTS = 20


def test_nothing_is_dropped_by_a_delivery_limit_over_twenty_rolling_restarts(
    tmp_path: Path, some_rabbitmq: Vhost, some_redis: OwnRedis
) -> None:
    with RabbitFleet(tmp_path, some_rabbitmq, some_redis, **LIMITED) as fleet:
        ids = fleet.send_many(LATE, 40, 0.1) + fleet.send_many(EARLY, 40, 0.1)
        for n in range(RESTARTS):
            ids += fleet.send_many(LATE, 4, 0.1)  # however much a worker does before it stops, the next has some
            with fleet.worker(f"rolled{n}", "-c", "1", "--prefetch-multiplier", "100", ready=False):
                before = len(fleet.started())
                eventually(lambda: len(fleet.started()) > before)  # noqa: B023
        with fleet.worker("last", "-c", "8"):
            fleet.wait_for(ids)
            eventually(fleet.empty)

    assert fleet.read().repeated() == set()


def test_what_is_on_the_ladder_to_a_queue_that_is_deleted_becomes_dead_letters(
    tmp_path: Path, some_rabbitmq: Vhost, some_redis: OwnRedis
) -> None:
    with RabbitFleet(tmp_path, some_rabbitmq, some_redis) as fleet:
        ids = [fleet.send(LATE, 0.0, countdown=2.0).id for _ in range(100)]
        assert fleet.app.transport.flush(10.0) == 0
        delete_queue(some_rabbitmq.url)
        eventually(lambda: fleet.dead() == 100)
        letters = fleet.app.transport.dead.page(limit=200).letters

    assert {letter.task_id for letter in letters} == set(ids)
    assert {(letter.queue, letter.reason) for letter in letters} == {("celery", "unroutable")}
    assert fleet.left() == {DEAD: 100}


def test_a_call_that_expires_while_it_waits_is_dropped_without_a_word(
    tmp_path: Path, some_rabbitmq: Vhost, some_redis: OwnRedis
) -> None:
    with RabbitFleet(tmp_path, some_rabbitmq, some_redis) as fleet:
        expired = fleet.send(LATE, 0.0, expires=1.0)
        assert fleet.app.transport.flush(10.0) == 0
        assert fleet.ready() == 1
        eventually(lambda: fleet.ready() == 0)

        assert fleet.left() == {}
        assert expired.state == "PENDING"


def test_what_lay_in_a_queue_that_is_deleted_is_gone(
    tmp_path: Path, some_rabbitmq: Vhost, some_redis: OwnRedis
) -> None:
    with RabbitFleet(tmp_path, some_rabbitmq, some_redis) as fleet:
        gone = fleet.send_many(LATE, 20)
        assert fleet.app.transport.flush(10.0) == 0
        delete_queue(some_rabbitmq.url)
        with fleet.worker("one", "-c", "2"):
            fleet.wait_for(fleet.send_many(LATE, 20))
            eventually(fleet.empty)

        assert not set(gone) & fleet.started()


def test_a_worker_declares_a_queue_anew_that_is_deleted_under_it(
    tmp_path: Path, some_rabbitmq: Vhost, some_redis: OwnRedis
) -> None:
    with RabbitFleet(tmp_path, some_rabbitmq, some_redis) as fleet, fleet.worker("one", "-c", "2"):
        running = fleet.linked(LATE, 3.0)
        eventually(lambda: fleet.begun() == 1)
        delete_queue(some_rabbitmq.url)
        began = time.monotonic()
        ids = fleet.send_many(LATE, 20)
        fleet.wait_for(ids)
        took = time.monotonic() - began
        fleet.wait_for([running])
        eventually(fleet.empty)

    assert took < SOON_S
    assert fleet.read().repeated() == set()


def test_what_a_killed_worker_held_too_often_is_not_dropped_by_a_delivery_limit(
    tmp_path: Path, some_rabbitmq: Vhost, some_redis: OwnRedis
) -> None:
    with RabbitFleet(tmp_path, some_rabbitmq, some_redis, **LIMITED) as fleet:
        ids = fleet.send_many(LATE, 20, 0.5)
        for n in range(LIMIT + 3):
            with fleet.worker(f"killed{n}", "-c", "1", "--prefetch-multiplier", "100", ready=False) as worker:
                before = len(fleet.started())
                eventually(lambda: len(fleet.started()) > before and fleet.ready() == 0)  # noqa: B023
                worker.kill()
        with fleet.worker("last", "-c", "8"):
            fleet.wait_for(ids)
