"""Where the broker is, and how to connect to it: to the first place that answers, in the order of the failover."""

import logging
import math
from time import monotonic
from typing import Any

from celery_rs.transports.amqp.errors import LinkLost, Refused
from celery_rs.transports.amqp.handshake import open_link
from celery_rs.transports.amqp.link import Link
from celery_rs.transports.amqp.location import Rotation, places_of
from celery_rs.transports.amqp.options import AmqpOptions

logger = logging.getLogger("celery_rs.amqp")

_LEAST_S = 0.1
"""So long a server is waited for whatever the deadline."""


class Server:
    """One RabbitMQ, or several that stand for each other."""

    def __init__(self, url: str, options: AmqpOptions, *, use_ssl: Any = None, failover: Any = None) -> None:
        self._rotation = Rotation(places_of(url, use_ssl, options.login_method), failover)
        self.options = options

    def open(self, name: str, *, timeout: float | None = None, heartbeat: float = 0.0) -> Link:
        """A new connection: the next place is tried where one cannot be reached, or lets nobody in.

        `timeout` is seconds for all places together; each has as many as broker_connection_timeout says at most.
        Raises OperationalError.
        """
        until = math.inf if timeout is None else monotonic() + timeout
        places = self._rotation.round()
        failed: LinkLost | Refused | None = None
        for tried, place in enumerate(places):
            share = (until - monotonic()) / (len(places) - tried)
            limit = max(min(share, self.options.connect_timeout), _LEAST_S)
            try:
                link = open_link(place, self.options, timeout=limit, heartbeat=heartbeat, name=name)
            except (LinkLost, Refused) as error:
                failed = failed or error
                continue
            if self._rotation.answered(place) and failed is not None:
                logger.warning("amqp: using %s, since %s", place.shown, failed)
            return link
        assert failed is not None
        raise failed

    def describe(self) -> str:
        """For people: the URL of the server in use."""
        return self._rotation.words()

    def words(self) -> str:
        """The same with what it is, as errors begin."""
        return self._rotation.place.words()
