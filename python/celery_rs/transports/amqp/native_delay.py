"""Celery's own ladder for delays, which its workers use where a queue is a quorum queue (pure).

Ours (`ladder.py`) serves every queue. This one is declared so that what Celery's clients send up it comes down to our
workers, and our clients use it for queues on exchanges that are not direct, so that it comes down to Celery's.
"""

from collections.abc import Iterable
from typing import Any

from pika import spec

from celery_rs.wire import Queue

LEVELS = 28
FOOT = "celery_delayed_delivery"
MOST_S = 2**LEVELS - 1
_PREFIX = "celery_delayed_"
TOP = f"{_PREFIX}{LEVELS - 1}"


def declarations(queues: Iterable[Queue], queue_type: str = "quorum") -> list[Any]:
    """The ladder, and what brings messages from its foot to these queues, but for those on direct exchanges."""
    methods: list[Any] = [_topic(FOOT)]
    methods += [_topic(f"{_PREFIX}{n}") for n in range(LEVELS)]
    for n in reversed(range(LEVELS)):
        methods += _step(n, queue_type)
    for queue in queues:
        methods += _bindings(queue)
    return methods


def _topic(name: str) -> Any:
    return spec.Exchange.Declare(exchange=name, type="topic", durable=True)


def _step(n: int, queue_type: str) -> list[Any]:
    here = f"{_PREFIX}{n}"
    below = f"{_PREFIX}{n - 1}" if n else FOOT
    arguments = {
        "x-queue-type": queue_type,
        "x-overflow": "reject-publish",
        "x-message-ttl": 2**n * 1000,
        "x-dead-letter-exchange": below,
    }
    if queue_type == "quorum":
        arguments["x-dead-letter-strategy"] = "at-least-once"
    passed = "*." * (LEVELS - 1 - n)
    return [
        spec.Queue.Declare(queue=here, durable=True, arguments=arguments),
        spec.Queue.Bind(queue=here, exchange=here, routing_key=f"{passed}1.#"),
        spec.Exchange.Bind(destination=below, source=here, routing_key=f"{passed}0.#"),
    ]


def _bindings(queue: Queue) -> list[Any]:
    methods: list[Any] = []
    for each in queue.all_bindings:
        if each.exchange.type == "direct":
            continue
        key = each.routing_key if each.routing_key.startswith("#") else f"#.{each.routing_key}"
        methods.append(spec.Exchange.Bind(destination=each.exchange.name, source=FOOT, routing_key=key))
        methods.append(spec.Queue.Bind(queue=queue.name, exchange=each.exchange.name, routing_key=key))
    return methods


def key(delay_s: float, routing_key: str) -> str:
    """Whole seconds, rounded down: the worker waits out the rest."""
    return f"{'.'.join(f'{int(min(delay_s, MOST_S)):0{LEVELS}b}')}.{routing_key}"


def is_delayed(exchange: str, routing_key: str) -> bool:
    """Whether a message came down this ladder."""
    words = routing_key.split(".", LEVELS)
    return exchange == FOOT and len(words) > LEVELS and set(words[:LEVELS]) <= {"0", "1"}
