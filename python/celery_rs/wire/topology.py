"""Queues and exchanges, in Kombu's spelling."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Exchange:
    """An exchange; the default one has the name `""`. `type` is direct, topic, fanout or headers."""

    name: str = ""
    type: str = "direct"
    durable: bool = True
    auto_delete: bool = False
    delivery_mode: int | None = None
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue and how it is bound; without an exchange it is reached by its own name."""

    name: str
    exchange: Exchange = Exchange()
    routing_key: str = ""
    durable: bool = True
    exclusive: bool = False
    auto_delete: bool = False
    max_priority: int | None = None
    queue_arguments: dict[str, Any] = field(default_factory=dict)


def worker_direct(node: str) -> Queue:
    """The queue of one worker, where `worker_direct` is on: `apply_async(queue=worker_direct("w1@host"))`."""
    return Queue(f"{node}.dq2", Exchange("C.dq2"), node)
