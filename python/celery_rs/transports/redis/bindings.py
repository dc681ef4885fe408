"""Which lists a message goes to: Kombu's binding sets, and the types of the exchanges this process has declared.

A Redis knows no exchanges; an exchange's type is known to those who have declared it, and an unknown one counts as
direct.
"""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from celery_rs.errors import NotSupported
from celery_rs.transports.base import Route
from celery_rs.transports.redis.keys import Keys
from celery_rs.transports.redis.link import Command, Link
from celery_rs.wire import Queue

TYPES = ("direct", "topic", "fanout")
_EXPIRING_MS = 3_600_000


class Target(NamedTuple):
    """Where one copy goes: the list of a queue, or (`queue` None) a channel."""

    queue: str | None
    channel: str = ""


class Bindings:
    """What this process has declared; the rest is asked. Any thread."""

    def __init__(self, keys: Keys, otherwise: str | None = None) -> None:
        """`otherwise` is the queue for what no queue is bound to (`deadletter_queue` of Kombu's)."""
        self._keys = keys
        self._otherwise = otherwise
        self._types: dict[str, str] = {}
        self._queues: dict[str, Queue] = {}

    def remember(self, queues: Iterable[Queue]) -> None:
        """Raises NotSupported for exchanges of types that are not there."""
        for queue in queues:
            for bound in queue.all_bindings:
                if bound.exchange.type not in TYPES:
                    raise NotSupported(
                        f"exchange {bound.exchange.name!r} of type {bound.exchange.type!r}", f"use {', '.join(TYPES)}"
                    )
                self._types[bound.exchange.name] = bound.exchange.type
            self._queues[queue.name] = queue

    def declared(self, queue: str) -> Queue | None:
        return self._queues.get(queue)

    def fanouts(self, queue: str) -> list[str]:
        """The fanout exchanges that a declared queue listens to."""
        found = self._queues.get(queue)
        return (
            []
            if found is None
            else [each.exchange.name for each in found.all_bindings if each.exchange.type == "fanout"]
        )

    def binding(self, queue: Queue, now_ms: int) -> list[Command]:
        """The commands that bind a queue, as Kombu does."""
        commands: list[Command] = []
        expires = queue.arguments.get("x-expires")
        for exchange, member in self._members(queue):
            commands.append((b"SADD", self._keys.binding(exchange), member))
            if expires is None:
                commands.append((b"SADD", self._keys.permanent_binding(exchange), member))
            else:
                deadline = now_ms + max(2 * int(expires), _EXPIRING_MS)
                commands.append((b"ZADD", self._keys.binding_deadlines, b"GT", deadline, exchange))
        return commands

    def unbinding(self, queue: Queue) -> list[Command]:
        """The commands that undo it, and drop what is ready in the queue."""
        commands: list[Command] = [(b"DEL", *self._keys.steps(queue.name))]
        for exchange, member in self._members(queue):
            commands.append((b"SREM", self._keys.binding(exchange), member))
            commands.append((b"SREM", self._keys.permanent_binding(exchange), member))
        return commands

    def _members(self, queue: Queue) -> list[tuple[str, str]]:
        """Exchange and member of its binding set. One without any is bound to its own, as in Celery."""
        found = [] if queue.all_bindings else [(queue.name, self._keys.bound(queue.name, "", queue.name))]
        for each in queue.all_bindings:
            exchange, routing_key = each.exchange, each.routing_key
            pattern = topic_regex(routing_key) if exchange.type == "topic" else ""
            # Of a fanout exchange, too: a Celery client, which knows no types, may push to our list by this key.
            found.append((exchange.name, self._keys.bound(routing_key, pattern, queue.name)))
        return found

    def targets(self, link: Link, routes: Sequence[Route]) -> list[list[Target]]:
        """Where each goes; an empty list where no queue is bound."""
        asked = list(
            dict.fromkeys(exchange for exchange, _ in routes if exchange and self._types.get(exchange) != "fanout")
        )
        answers = link.pipeline([(b"SMEMBERS", self._keys.binding(name)) for name in asked])
        members = dict(zip(asked, answers, strict=True))
        return [self._targets(route, members.get(route.exchange, ())) for route in routes]

    def _targets(self, route: Route, members: Sequence[bytes]) -> list[Target]:
        exchange, routing_key = route
        if not exchange:
            return [Target(routing_key)]
        if self._types.get(exchange) == "fanout":
            # A Celery worker hears the channel of its binding's key alone.
            return [Target(None, self._keys.channel(exchange, routing_key))]
        bound = [found for member in members if (found := self._keys.unbound(member)) is not None]
        queues = {
            queue
            for key, pattern, queue in bound
            if (_matches(pattern, routing_key) if pattern else key == routing_key)
        }
        if not queues and self._otherwise is not None:
            queues = {self._otherwise}
        return [Target(queue) for queue in sorted(queues)]


def topic_regex(pattern: str) -> str:
    """A topic pattern as Kombu stores it: `#` does not match no word at all here, as in Kombu."""
    words = [{"*": r"[^\.]+", "#": ".*?"}.get(word, re.escape(word)) for word in pattern.split(".")]
    return "^" + r"\.".join(words) + "$"


def _matches(pattern: str, routing_key: str) -> bool:
    try:
        return bool(pattern) and re.match(pattern, routing_key) is not None
    except re.error:
        return False
