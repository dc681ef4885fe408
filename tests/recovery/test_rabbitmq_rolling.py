"""Workers on a RabbitMQ are stopped and started again, many times over."""

from pathlib import Path

from tests.rabbitmq_vhosts import Vhost
from tests.recovery.rabbitmq_fleet import RabbitFleet
from tests.recovery.redis_fleet import LATE
from tests.redis_server import OwnRedis
from tests.worker.process import eventually

RESTARTS = 20
LIMITED = {"task_queues": {"celery": {"queue_arguments": {"x-queue-type": "quorum", "x-delivery-limit": 5}}}}


def test_no_number_of_restarts_uses_up_a_delivery_limit(
    tmp_path: Path, some_rabbitmq: Vhost, some_redis: OwnRedis
) -> None:
    """Each worker has all messages in hand, and ends before it has begun any of them."""
    with RabbitFleet(tmp_path, some_rabbitmq, some_redis, **LIMITED) as fleet:
        fleet.app.conf.update(LIMITED)
        blocking = fleet.send(LATE, 0.3)
        waiting = fleet.send_many(LATE, 20)
        for number in range(RESTARTS):
            with fleet.worker(f"w{number}", "-c", "1", "--prefetch-multiplier", "50", "-P", "solo"):
                pass

        with fleet.worker("last", "-c", "2"):
            fleet.wait_for([blocking.id, *waiting])
            eventually(fleet.empty)
