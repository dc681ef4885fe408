"""Redis as a broker, on the keys of Kombu: workers of both kinds share its queues."""

from celery_rs.transports.redis.consumer import RedisConsumer
from celery_rs.transports.redis.errors import LinkLost, Refused
from celery_rs.transports.redis.keys import Keys
from celery_rs.transports.redis.link import Command, Link, packed
from celery_rs.transports.redis.options import RedisOptions
from celery_rs.transports.redis.results import ResultKeys
from celery_rs.transports.redis.scripts import Script
from celery_rs.transports.redis.server import Server
from celery_rs.transports.redis.transport import RedisTransport

__all__ = [
    "Command",
    "Keys",
    "Link",
    "LinkLost",
    "RedisConsumer",
    "RedisOptions",
    "RedisTransport",
    "Refused",
    "ResultKeys",
    "Script",
    "Server",
    "packed",
]
