"""A chaos run on a Redis of its own, which its workers reach through a proxy that loses replies."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from celery_rs.transports.redis.leases import LEASE_S
from tests.chaos.run import Run
from tests.proxy import proxy_before
from tests.redis_server import OwnRedis

LOST_OF = 200
"""Of so many scripts that a worker has run, one reply is lost."""
STOPPED_S = 1.5 * LEASE_S + 5.0
"""A worker that was stopped for so long has been taken for dead."""


@contextmanager
def on_redis(plan: Run, *, celery: bool = False) -> Iterator[Run]:
    """The same run there. Celery's workers are not made to lose replies."""
    directory = plan.folder / "redis"
    directory.mkdir()
    redis = OwnRedis(directory)
    redis.start()
    try:
        with proxy_before(redis.url) as proxy:
            if not celery:
                proxy.swallow(b"EVALSHA", LOST_OF)
            reached_by = redis.url if celery else proxy.url
            yield replace(plan, url=redis.url, reached_by=reached_by, stopped_s=STOPPED_S, celery=celery)
    finally:
        redis.close()
