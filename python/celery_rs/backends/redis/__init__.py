"""Results in a Redis, on the keys of Celery: clients and workers of both kinds share them."""

from celery_rs.backends.redis.options import open_store
from celery_rs.backends.redis.store import RedisBackend

__all__ = ["RedisBackend", "open_store"]
