"""A Redis as a broker: its door, everything but consuming."""

import logging
import secrets
import time
from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from typing import Any

from celery_rs.errors import NotSupported
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
from celery_rs.transports.redis import skew as clocks
from celery_rs.transports.redis.advice import advice
from celery_rs.transports.redis.bindings import Bindings
from celery_rs.transports.redis.census import Census
from celery_rs.transports.redis.consumer import RedisConsumer
from celery_rs.transports.redis.errors import Refused
from celery_rs.transports.redis.facts import RedisFacts
from celery_rs.transports.redis.handback import hand_back
from celery_rs.transports.redis.keys import Keys
from celery_rs.transports.redis.leases import LEASE_S
from celery_rs.transports.redis.letters import RedisDeadLetters
from celery_rs.transports.redis.link import Command
from celery_rs.transports.redis.options import RedisOptions
from celery_rs.transports.redis.publishing import arguments, push
from celery_rs.transports.redis.scripts import Script
from celery_rs.transports.redis.server import Server
from celery_rs.transports.redis.skew import Skew
from celery_rs.transports.redis.subscription import Broadcasts, Replies
from celery_rs.wire import Exchange, Queue

logger = logging.getLogger("celery_rs.redis")

_LOOKED_AT = 1000
"""Delayed messages for which one script may keep others waiting."""


class RedisTransport:
    """See `transports.base.Transport`. Connections are opened on first use."""

    def __init__(
        self,
        server: Server,
        options: RedisOptions,
        *,
        faults: Faults | None = None,
        skew: Skew = clocks.none,
        lease_s: float = LEASE_S,
    ) -> None:
        self.features = Features(
            delays=True, facts=True, browse=True, once=True, ages=False, lowest_first=options.priority_steps
        )
        self.server = server
        self.keys = Keys(options, server.place.db)
        self._options = options
        self._bindings = Bindings(self.keys, options.deadletter_queue)
        self._faults = faults or Faults()
        self._skew = skew
        self._lease_s = lease_s
        self._census = Census(server, self.keys, skew)
        self.facts: Facts = RedisFacts(server, self.keys, skew)
        self.dead: DeadLetters = RedisDeadLetters(server, self.keys, skew)

    @classmethod
    def open(
        cls,
        url: str,
        options: Mapping[str, Any],
        *,
        use_ssl: Any = None,
        connect_timeout: float | None = None,
        failover: Any = None,
    ) -> "RedisTransport":
        """Raises ImproperlyConfigured for a URL or an option that makes no sense."""
        timeouts = {} if connect_timeout is None else {"socket_connect_timeout": connect_timeout}
        checked = RedisOptions.of({**timeouts, **options})
        return cls(Server.at(url, checked, use_ssl=use_ssl, failover=failover), checked)

    def declare(self, queues: Sequence[Queue]) -> None:
        self._bindings.remember(queues)
        now_ms = round(time.time() * 1000)
        # A fleeting queue is bound while it is consumed.
        commands = [
            command for queue in queues if not queue.is_fleeting for command in self._bindings.binding(queue, now_ms)
        ]
        if commands:
            with self.server.borrowed() as link:
                link.pipeline(commands)

    def publish(self, batch: Sequence[Outgoing], *, wait: Wait = "stored", deadline: float = 5.0) -> None:
        """A reply is soon enough for "written" to mean "stored"."""
        with self.server.borrowed(deadline) as link:
            if push(link, self.keys, batch):
                return
            messages = arguments(link, self.keys, self._bindings, batch, delays=False, strays=False)
            Script.PUBLISH.run(
                link,
                self.keys.fixed,
                self._skew(),
                secrets.token_hex(8),
                self._options.visibility_timeout,
                *chain.from_iterable(messages),
            )

    def flush(self, deadline: float) -> int:
        """Nothing is ever only written."""
        return 0

    def consume(self, queues: Sequence[str]) -> RedisConsumer:
        return RedisConsumer(
            self.server,
            self.keys,
            self._options,
            self._bindings,
            queues,
            faults=self._faults,
            skew=self._skew,
            lease_s=self._lease_s,
        )

    def subscribe(self, exchange: Exchange, pattern: str, queue: str | Queue = "") -> Subscription:
        if exchange.type == "direct":
            name = queue.name if isinstance(queue, Queue) else queue
            return Replies(self.server, self.keys, exchange.name, pattern, name or f"{exchange.name}.{pattern}")
        if exchange.type not in ("fanout", "topic"):
            raise NotSupported(f"hearing exchange {exchange.name!r} of type {exchange.type!r}", "use fanout or topic")
        return Broadcasts(self.server, self.keys, exchange.name, pattern)

    def announce(
        self,
        exchange: Exchange,
        routing_key: str,
        envelopes: Sequence[bytes],
        *,
        confirmed: bool = False,
        expires: float | None = None,
    ) -> None:
        keys = self.keys
        with self.server.borrowed() as link:
            if exchange.type != "direct":
                link.pipeline([(b"PUBLISH", keys.channel(exchange.name, routing_key), each) for each in envelopes])
                return
            (targets,) = self._bindings.targets(link, [Route(exchange.name, routing_key)])
            queues = [keys.queue(target.queue) for target in targets if target.queue is not None]
            lasting = max(1, round(expires * 1000)) if expires else None
            pushes: list[Command] = [(b"LPUSH", queue, *envelopes) for queue in queues]
            limits: list[Command] = [(b"PEXPIRE", queue, lasting) for queue in queues] if lasting else []
            try:
                link.pipeline([*pushes, *limits])
            except Refused as error:
                if error.kind != "WRONGTYPE":
                    raise
                # Anybody may name anything as the place for an answer: repeating it would hold up everybody's.
                logger.warning("%s; an answer that was to go there is dropped: %s", error, ", ".join(map(repr, queues)))

    def queues(self, names: Sequence[str] | None = None) -> dict[str, QueueInfo]:
        return self._census.queues(names)

    def purge(self, queue: str) -> int:
        lists = self.keys.steps(queue)
        dropped, cursor = 0, b""
        with self.server.borrowed() as link:
            while cursor != b"0":
                some, cursor = Script.PURGE.run(link, self.keys.fixed, self._skew(), cursor or b"0", _LOOKED_AT, *lists)
                dropped += some
        return dropped

    def find(self, task_id: str) -> Whereabouts | None:
        alive = self._census.locate([task_id])
        if alive:
            return alive[task_id]
        after: str | None = None
        while True:
            page = self.dead.page(after=after, limit=1000)
            for dead in page.letters:
                if dead.task_id == task_id:
                    return Whereabouts(dead.queue, "dead", None, None, dead.crashes, dead.deliveries)
            after = page.after
            if after is None:
                return None

    def locate(self, task_ids: Collection[str]) -> dict[str, Whereabouts]:
        return self._census.locate(task_ids)

    def delayed(self, queues: Sequence[str], limit: int) -> Sequence[Delayed]:
        return self._census.delayed(queues, limit)

    def describe(self) -> str:
        return self.server.describe()

    def hand_back(self, *, dead: bool) -> HandedBack:
        letters = RedisDeadLetters(self.server, self.keys, self._skew)
        return hand_back(self.server, self.keys, self._skew, self.consume([]), letters, dead=dead)

    def advice(self) -> Sequence[str]:
        with self.server.borrowed() as link:
            return advice(link, self.describe())

    def after_fork(self) -> None:
        self.server.after_fork()

    def close(self) -> None:
        self.server.close()
