"""A late task of three minutes on a RabbitMQ that waits for one. It looks once a minute, so this cannot be quicker."""

import os
from pathlib import Path

import pytest

from tests.deadlines import eventually
from tests.rabbitmq_server import OwnRabbitMQ, has_rabbitmq
from tests.recovery.rabbitmq_fleet import RabbitFleet
from tests.recovery.redis_fleet import LATE
from tests.redis_server import OwnRedis

TIMEOUT_S = 60

pytestmark = [
    pytest.mark.skipif(os.environ.get("PATIENCE") != "1", reason="takes four minutes each; PATIENCE=1 asks for it"),
    pytest.mark.skipif(not has_rabbitmq(), reason="rabbitmq-server is not there: install RabbitMQ"),
]


@pytest.mark.parametrize("told", [True, False])
def test_a_late_task_that_outlasts_consumer_timeout_runs_once(tmp_path: Path, some_redis: OwnRedis, told: bool) -> None:
    """Told of it, the worker is never disconnected; else it is, and finds its work again."""
    directory = tmp_path / "rabbitmq"
    directory.mkdir()
    rabbitmq = OwnRabbitMQ(directory, f"consumer_timeout = {TIMEOUT_S * 1000}")
    rabbitmq.start()
    options = {"broker_transport_options": {"consumer_timeout": TIMEOUT_S}} if told else {}
    try:
        with RabbitFleet(tmp_path, rabbitmq, some_redis, **options) as fleet, fleet.worker("one"):
            lasting = fleet.send(LATE, 3.0 * TIMEOUT_S)
            fleet.wait_for([lasting.id], 4.0 * TIMEOUT_S)
            eventually(fleet.empty)
            assert fleet.read().repeated() == set()
            assert ("timed out" in fleet.log("one")) is not told
    finally:
        rabbitmq.close()
