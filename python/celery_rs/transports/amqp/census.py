"""What a RabbitMQ says of queues: by declaring them passively, which tells how many messages are ready."""

from collections.abc import Sequence

from pika import spec

from celery_rs.transports.amqp.errors import NOT_FOUND, RESOURCE_LOCKED, Refused
from celery_rs.transports.amqp.publisher import Publisher
from celery_rs.transports.amqp.topology import Topology
from celery_rs.transports.base import QueueInfo

_PATIENCE_S = 10.0


class Census:
    """Asks over the publisher's connection."""

    def __init__(self, publisher: Publisher, known: Topology) -> None:
        self._publisher = publisher
        self._known = known

    def queues(self, names: Sequence[str] | None = None) -> dict[str, QueueInfo]:
        """Those named, or all that this process was told of and that are there."""
        found = {}
        for name in self._known.names() if names is None else names:
            try:
                declared = self._publisher.ask(spec.Queue.Declare(queue=name, passive=True), _PATIENCE_S)
            except Refused as error:
                if error.code not in (NOT_FOUND, RESOURCE_LOCKED):
                    raise
                if names is not None:
                    found[name] = QueueInfo(0, None, None, None, None, None, 0)
                continue
            assert isinstance(declared, spec.Queue.DeclareOk)
            found[name] = QueueInfo(
                ready=declared.message_count,
                held=None,
                begun=None,
                delayed=None,
                dead=None,
                oldest=None,
                consumers=declared.consumer_count,
            )
        return found

    def purge(self, queue: str) -> int:
        try:
            purged = self._publisher.ask(spec.Queue.Purge(queue=queue), _PATIENCE_S)
        except Refused as error:
            if error.code != NOT_FOUND:
                raise
            return 0
        assert isinstance(purged, spec.Queue.PurgeOk)
        return int(purged.message_count)
