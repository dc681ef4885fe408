"""What every test begins with: no task of another test, which apps made later would take over, and no default app.

And what any test may ask for: a Redis or a RabbitMQ of its own.
"""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from celery_rs import context
from celery_rs.app.shared import nothing_shared
from tests.rabbitmq_server import breakable_rabbitmq, own_rabbitmq
from tests.rabbitmq_vhosts import some_rabbitmq
from tests.redis_server import own_redis, some_redis

__all__ = ["breakable_rabbitmq", "own_rabbitmq", "own_redis", "some_rabbitmq", "some_redis"]

# How long an example takes says how busy the machine is.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


@pytest.fixture(autouse=True)
def _nothing_of_other_tests() -> Iterator[None]:
    with nothing_shared(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(context, "_default_app", None)
        yield
