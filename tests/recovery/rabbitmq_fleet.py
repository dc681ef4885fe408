"""Real workers on a RabbitMQ, with results in a Redis: what lies in its queues is asked of its operator's tool."""

from pathlib import Path
from typing import Any, Protocol

import pika
from pika.adapters.blocking_connection import BlockingChannel

from celery_rs.transports.amqp.past import BEGUN
from celery_rs.transports.amqp.topology import DEAD, FACTS
from tests.recovery.redis_fleet import Fleet
from tests.redis_server import OwnRedis

SOON = {"begun_ttl_s": 0.5, "reconnect_grace_s": 3.0}
"""Work whose worker died is looked at sooner than by default."""


class RabbitMQ(Protocol):
    """One of a test's own, or a virtual host."""

    url: str

    def messages(self) -> dict[str, int]:
        """How many lie in each queue, whether delivered or not."""
        ...


class RabbitFleet(Fleet):
    """A fleet that may ask its broker more than `transport` knows."""

    def __init__(self, folder: Path, rabbitmq: RabbitMQ, store: OwnRedis, **settings: Any) -> None:
        options = {"broker_transport_options": SOON}
        super().__init__(folder, rabbitmq, store.url, options | settings)
        self._rabbitmq = rabbitmq

    def empty(self) -> bool:
        return not any(self.left().values())

    def left(self) -> dict[str, int]:
        """The messages that are there, by queue."""
        return {queue: count for queue, count in self._rabbitmq.messages().items() if count and queue != FACTS}

    def begun(self) -> int:
        """How much work is on record as begun."""
        return sum(count for queue, count in self.left().items() if queue.startswith(BEGUN))

    def ready(self, queue: str = "celery") -> int:
        """How many messages wait there for a consumer."""
        found = self.app.transport.queues([queue])
        return (found[queue].ready or 0) if queue in found else 0

    def dead(self) -> int:
        return self.ready(DEAD)


def ids_in(url: str, queue: str = "celery") -> list[object]:
    """The tasks whose messages are ready there; they are taken out."""
    ids: list[object] = []
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        while True:
            method, properties, _ = channel.basic_get(queue, auto_ack=True)
            if method is None:
                return ids
            ids.append((properties.headers or {}).get("id"))


def delete_queue(url: str, queue: str = "celery") -> None:
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel: BlockingChannel = connection.channel()
        channel.queue_delete(queue)
