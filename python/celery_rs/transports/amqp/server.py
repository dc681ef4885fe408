"""Where the broker is, and how to connect to it: to the first place that answers, in the order of the failover."""

from time import monotonic
from typing import Any

from celery_rs.transports.amqp.errors import LinkLost
from celery_rs.transports.amqp.handshake import open_link
from celery_rs.transports.amqp.link import Link
from celery_rs.transports.amqp.location import Rotation, places_of
from celery_rs.transports.amqp.options import AmqpOptions


class Server:
    """One RabbitMQ, or several that stand for each other."""

    def __init__(self, url: str, options: AmqpOptions, *, use_ssl: Any = None, failover: Any = None) -> None:
        self._rotation = Rotation(places_of(url, use_ssl), failover)
        self.options = options

    def open(self, name: str, *, timeout: float | None = None, heartbeat: float = 0.0) -> Link:
        """A new connection. `timeout` is seconds for all places together. Raises OperationalError."""
        limit = self.options.connect_timeout if timeout is None else min(timeout, self.options.connect_timeout)
        until = monotonic() + limit
        failed: LinkLost | None = None
        for place in self._rotation.round():
            left = until - monotonic()
            if failed is not None and left <= 0:
                break
            try:
                return open_link(place, timeout=max(left, 0.1), heartbeat=heartbeat, name=name)
            except LinkLost as error:
                failed = failed or error
        raise failed or LinkLost(f"{self.describe()} cannot be reached")

    def describe(self) -> str:
        return self._rotation.words()
