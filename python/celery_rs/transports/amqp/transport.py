"""A RabbitMQ as a broker: its door, everything but consuming."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from celery_rs._core import amqp_content, amqp_of_envelope
from celery_rs.errors import NotSupported
from celery_rs.transports.amqp import topology
from celery_rs.transports.amqp.census import Census
from celery_rs.transports.amqp.consumer import AmqpConsumer
from celery_rs.transports.amqp.facts import AmqpFacts
from celery_rs.transports.amqp.letters import AmqpDeadLetters
from celery_rs.transports.amqp.options import AmqpOptions
from celery_rs.transports.amqp.outgoing import Sender
from celery_rs.transports.amqp.publisher import CHANNEL, FRAME_MAX, Publisher
from celery_rs.transports.amqp.server import Server
from celery_rs.transports.amqp.subscription import AmqpSubscription
from celery_rs.transports.amqp.topology import Topology
from celery_rs.transports.amqp.unconfirmed import Publish
from celery_rs.transports.base import (
    DeadLetters,
    Delayed,
    Facts,
    Features,
    HandedBack,
    Outgoing,
    QueueInfo,
    Route,
    Subscription,
    Wait,
    Whereabouts,
)
from celery_rs.transports.faults import Faults
from celery_rs.wire import Exchange, Queue

_BARE = b"\x00\x00"
_DECLARE_S = 10.0


class AmqpTransport:
    """See `transports.base.Transport`. Connections are opened on first use."""

    features = Features(delays=True, facts=True, browse=False, once=False, ages=False, pushes=True)

    def __init__(
        self, server: Server, *, faults: Faults | None = None, queue_of: Callable[[str], Queue] = Queue
    ) -> None:
        """`queue_of` knows how a queue is to be declared that was not named to `declare`."""
        self.server = server
        self._faults = faults or Faults()
        self._known = Topology(queue_of)
        self._start()

    def _start(self) -> None:
        self._publisher = Publisher(self.server, self._known)
        self._sender = Sender(self._publisher, self._known)
        self._census = Census(self._publisher, self._known)
        self._facts = AmqpFacts(self.server, self._publisher)
        self.facts: Facts = self._facts
        self.dead: DeadLetters = AmqpDeadLetters(self.server, self._publisher)

    @classmethod
    def open(
        cls,
        url: str,
        options: Mapping[str, Any],
        *,
        use_ssl: Any = None,
        connect_timeout: float | None = None,
        failover: Any = None,
        queue_of: Callable[[str], Queue] = Queue,
        **settings: Any,
    ) -> "AmqpTransport":
        """Raises ImproperlyConfigured for a URL or an option that makes no sense."""
        settings = {"connect_timeout": connect_timeout, **settings}
        AmqpOptions.of(settings, setting="settings of the broker")
        checked = AmqpOptions.of({**settings, **options})
        return cls(Server(url, checked, use_ssl=use_ssl, failover=failover), queue_of=queue_of)

    def declare(self, queues: Sequence[Queue]) -> None:
        """What one listener alone consumes (exclusive, or a copy of a broadcast) is declared by the listener."""
        self._known.remember(queues)
        methods: list[Any] = []
        for queue in queues:
            alone = queue.exclusive or queue.is_fleeting
            methods += topology.exchanges_of(queue) if alone else topology.queue_of(queue)
        if methods:
            self._publisher.declare(methods, _DECLARE_S)

    def publish(self, batch: Sequence[Outgoing], *, wait: Wait = "stored", deadline: float = 5.0) -> None:
        if batch:
            stored = wait == "stored" or self.server.options.confirm_publish
            self._sender.publish(batch, stored=stored, deadline=deadline)

    def flush(self, deadline: float) -> int:
        return self._publisher.flush(deadline)

    def consume(self, queues: Sequence[str]) -> AmqpConsumer:
        return AmqpConsumer(self.server, self._sender, self._known, self._facts, queues, faults=self._faults)

    def subscribe(self, exchange: Exchange, pattern: str, queue: str | Queue = "") -> Subscription:
        if exchange.type not in ("direct", "fanout", "topic"):
            raise NotSupported(f"hearing exchange {exchange.name!r} of type {exchange.type!r}", "use fanout or topic")
        return AmqpSubscription(self.server, exchange, pattern, queue)

    def announce(
        self,
        exchange: Exchange,
        routing_key: str,
        envelopes: Sequence[bytes],
        *,
        confirmed: bool = False,
        expires: float | None = None,
    ) -> None:
        """A queue here knows by itself when what lies in it `expires`."""
        contents = [_content(envelope) for envelope in envelopes]
        if confirmed:
            route = Route(exchange.name, routing_key)
            publishes = [
                Publish(amqp_content(CHANNEL, FRAME_MAX, *route, False, *content), route, None) for content in contents
            ]
            self._publisher.publish(publishes, stored=True, deadline=_DECLARE_S)
            return
        frames: Callable[[int], bytes] = lambda channel: b"".join(  # noqa: E731
            amqp_content(channel, FRAME_MAX, exchange.name, routing_key, False, *content) for content in contents
        )
        self._publisher.announce(topology.exchange_of(exchange), ("announced", exchange.name), frames, _DECLARE_S)

    def queues(self, names: Sequence[str] | None = None) -> dict[str, QueueInfo]:
        return self._census.queues(names)

    def purge(self, queue: str) -> int:
        """What waits on the ladder for its time cannot be told by its queue, and stays."""
        return self._census.purge(queue)

    def find(self, task_id: str) -> Whereabouts | None:
        raise NotSupported("finding a message in a RabbitMQ", "its result tells how far the task has come")

    def locate(self, task_ids: Collection[str]) -> dict[str, Whereabouts]:
        raise NotSupported("finding messages in a RabbitMQ", "their results tell how far the tasks have come")

    def delayed(self, queues: Sequence[str], limit: int) -> Sequence[Delayed]:
        raise NotSupported("listing what waits in a RabbitMQ for its time", "use Redis, or the embedded broker")

    def describe(self) -> str:
        return self.server.describe()

    def hand_back(self, *, dead: bool) -> HandedBack:
        """Delayed messages come to their queues by themselves, and so does what dead workers held."""
        raise NotSupported("handing back on a RabbitMQ", "the broker itself returns everything when it is due")

    def advice(self) -> Sequence[str]:
        return []

    def after_fork(self) -> None:
        self._inherited = (getattr(self, "_inherited", None), self._publisher)
        self._start()

    def close(self) -> None:
        self._publisher.close()


def _content(envelope: bytes) -> tuple[bytes, bytes]:
    """Anybody may announce any bytes."""
    try:
        return amqp_of_envelope(envelope)
    except ValueError:
        return _BARE, envelope
