"""Redis as a broker, on the keys of Kombu: workers of both kinds share its queues."""

from celery_rs.transports.redis.consumer import RedisConsumer
from celery_rs.transports.redis.keys import Keys
from celery_rs.transports.redis.link import Link
from celery_rs.transports.redis.options import RedisOptions
from celery_rs.transports.redis.results import ResultKeys, without_attempt
from celery_rs.transports.redis.scripts import Script
from celery_rs.transports.redis.server import Server
from celery_rs.transports.redis.transport import RedisTransport

__all__ = [
    "Keys",
    "Link",
    "RedisConsumer",
    "RedisOptions",
    "RedisTransport",
    "ResultKeys",
    "Script",
    "Server",
    "without_attempt",
]
