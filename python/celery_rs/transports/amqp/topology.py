"""What is declared on a RabbitMQ, to the letter of Celery's own declarations: another flag or argument is an error
there.

Pure: queues in, methods of the protocol out.
"""

from collections.abc import Callable, Iterable
from typing import Any

from pika import spec

from celery_rs.errors import QueueNotFound
from celery_rs.wire import Exchange, Queue

DEAD = "celery_rs.dead"
"""The queue of the dead letters. Classic, so that no delivery limit ever drops one."""
UNROUTED = "celery_rs.unrouted"
"""Where a message goes that has waited for a queue which is gone."""
ORPHANS = "celery_rs.orphans"
"""Work that was acknowledged early, and whose worker died over it."""
FACTS = "celery_rs.facts"
FACTS_KEPT = {"x-queue-type": "stream", "x-max-age": "10D", "x-stream-max-segment-size-bytes": 4_000_000}


def exchange_of(exchange: Exchange) -> list[Any]:
    """Nothing for the default one and the broker's own."""
    if exchange.no_declare or not exchange.name or exchange.name.startswith("amq."):
        return []
    return [
        spec.Exchange.Declare(
            exchange=exchange.name,
            type=exchange.type,
            passive=exchange.passive,
            durable=exchange.durable,
            auto_delete=exchange.auto_delete,
            arguments=exchange.arguments or None,
        )
    ]


def exchanges_of(queue: Queue) -> list[Any]:
    return [method for each in queue.all_bindings for method in exchange_of(each.exchange)]


def queue_of(queue: Queue) -> list[Any]:
    """The queue, its exchanges, and what binds them."""
    if queue.no_declare:
        return []
    declared = spec.Queue.Declare(
        queue=queue.name,
        durable=queue.durable,
        exclusive=queue.exclusive,
        auto_delete=queue.auto_delete,
        arguments=queue.arguments or None,
    )
    bound = [
        spec.Queue.Bind(
            queue=queue.name,
            exchange=each.exchange.name,
            routing_key=each.routing_key,
            arguments=each.arguments or None,
        )
        for each in queue.all_bindings
        if each.exchange.name
    ]
    return [*exchanges_of(queue), declared, *bound]


def again(queue: Queue) -> list[Any]:
    """As `queue_of`, where it was declared before and nobody waits to hear so."""
    methods = queue_of(queue)
    for method in methods:
        method.nowait = True
    return methods


def is_quorum(queue: Queue | None) -> bool:
    return queue is not None and queue.queue_arguments.get("x-queue-type") == "quorum"


def own_queues() -> list[Any]:
    """What every worker and every delayed call needs: dead letters and orphans."""
    return [
        spec.Exchange.Declare(exchange=UNROUTED, type="fanout", durable=True),
        spec.Queue.Declare(queue=DEAD, durable=True),
        spec.Queue.Bind(queue=DEAD, exchange=UNROUTED, routing_key=""),
        spec.Queue.Declare(queue=ORPHANS, durable=True),
    ]


def is_own(name: str) -> bool:
    """Whether a queue is none of the user's."""
    return name.startswith("celery_rs.")


class Topology:
    """The queues that this process has been told of."""

    def __init__(self, queue_of: Callable[[str], Queue] = Queue) -> None:
        """`queue_of` is asked about any other; it may raise QueueNotFound."""
        self._queues: dict[str, Queue] = {}
        self._queue_of = queue_of

    def remember(self, queues: Iterable[Queue]) -> None:
        self._queues |= {queue.name: queue for queue in queues}

    def queue(self, name: str) -> Queue:
        """One of which nobody said anything is what a bare name means: durable, and bound to nothing."""
        known = self._queues.get(name)
        if known is None:
            try:
                known = self._queue_of(name)
            except QueueNotFound:
                known = Queue(name)
            self._queues[name] = known
        return known

    def names(self) -> list[str]:
        return list(self._queues)

    def bound_to(self, exchange: str) -> list[Queue]:
        return [
            queue
            for queue in self._queues.values()
            if any(each.exchange.name == exchange for each in queue.all_bindings)
        ]

    def is_fanout(self, exchange: str) -> bool:
        """Where a message that nobody hears is no error."""
        return any(
            each.exchange.name == exchange and each.exchange.type == "fanout"
            for queue in self._queues.values()
            for each in queue.all_bindings
        )
