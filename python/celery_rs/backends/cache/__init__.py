"""Results in a cache: memcached, on the keys of Celery, or this process's memory."""

from celery_rs.backends.cache.options import open_store

__all__ = ["open_store"]
