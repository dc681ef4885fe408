"""A chaos run on a RabbitMQ of its own, with results in a Redis of its own.

The broker cannot be asked where a task is: once nothing moves, everything is taken out of its queues.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import pika

from celery_rs.transports.amqp.topology import DEAD, FACTS
from tests.chaos.run import Run
from tests.rabbitmq_server import OwnRabbitMQ
from tests.redis_server import OwnRedis

HEARTBEAT_S = 4
STOPPED_S = 4.0 * HEARTBEAT_S
"""A worker that was stopped for so long has been taken for dead."""
SOON = {"begun_ttl_s": 0.5, "reconnect_grace_s": 3.0}


class Queues:
    """What lies in the queues of a RabbitMQ."""

    def __init__(self, rabbitmq: OwnRabbitMQ) -> None:
        self._rabbitmq = rabbitmq

    def moving(self) -> int:
        """How many messages are neither dead nor facts."""
        return sum(count for queue, count in self._rabbitmq.messages().items() if queue not in (DEAD, FACTS))

    def taken_out(self) -> dict[str, str]:
        """By task: whether its message was dead or queued."""
        found: dict[str, str] = {}
        with pika.BlockingConnection(pika.URLParameters(self._rabbitmq.url)) as connection:
            channel = connection.channel()
            for queue in self._rabbitmq.messages().keys() - {FACTS}:
                while True:
                    method, properties, _ = channel.basic_get(queue, auto_ack=True)
                    if method is None:
                        break
                    found[str((properties.headers or {}).get("id"))] = "dead" if queue == DEAD else "queued"
        return found


@contextmanager
def on_rabbitmq(plan: Run, *, celery: bool = False) -> Iterator[Run]:
    """The same run there."""
    with ExitStack() as stack:
        directories = [plan.folder / name for name in ("rabbitmq", "store")]
        for directory in directories:
            directory.mkdir()
        rabbitmq, store = OwnRabbitMQ(directories[0]), OwnRedis(directories[1])
        rabbitmq.start()
        stack.callback(rabbitmq.close)
        store.start()
        stack.callback(store.close)
        settings: dict[str, object] = {"broker_heartbeat": HEARTBEAT_S}
        if not celery:
            settings["broker_transport_options"] = SOON
        yield replace(
            plan,
            url=rabbitmq.url,
            store=store.url,
            settings=settings,
            stopped_s=STOPPED_S,
            celery=celery,
            queues=Queues(rabbitmq),
        )
