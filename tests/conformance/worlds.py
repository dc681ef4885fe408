"""Brokers and result stores under test, and what may happen to the processes that use them.

A world is one broker with one result store beside it. Each transport or consumer that it opens stands for a process of
its own; a world knows how such a process dies, how time passes, and how a reply gets lost on its broker.
"""

import os
import secrets
import time
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol
from unittest.mock import ANY

from celery_rs.backends import ResultBackend
from celery_rs.backends.memory import MemoryBackend
from celery_rs.backends.redis import RedisBackend
from celery_rs.backends.sqlite import SqliteBackend
from celery_rs.errors import OperationalError
from celery_rs.transports import Consumer, Recovered, Transport, Whereabouts
from celery_rs.transports.faults import Clock, Faults
from celery_rs.transports.memory import Broker, MemoryTransport
from celery_rs.transports.redis import RedisConsumer, RedisOptions, RedisTransport, ResultKeys, Server
from celery_rs.transports.redis.leases import LEASE_S
from celery_rs.transports.sqlite import Database, SqliteTransport, messages
from celery_rs.transports.sqlite.consumer import SqliteConsumer
from celery_rs.wire import Exchange, Queue
from tests import rabbitmq_vhosts
from tests.conformance.promises import Promise
from tests.conformance.rabbitmq import QuorumWorld, RabbitWorld

_names = count(1)


class World(Protocol):
    lacks: Mapping[Promise, str]
    """Which promises this broker cannot keep, and why."""
    shared_by_processes: bool
    """Whether a forked child reaches the same broker."""
    leases_by_clock: bool
    """Whether a consumer that is paused for long is taken for dead."""
    delays_calls: bool
    """Whether what a client publishes for later waits at the broker; what a worker publishes always does."""
    keeps_places: bool
    """Whether what is given back finds its old place among what was given back at another time."""
    priorities: tuple[int, int, int]
    """From the least urgent to the most."""
    requeues: bool
    """Whether the broker itself takes back what the dead held; `recover` has nothing to count then."""
    orphans_at_once: bool
    """Whether what a closed consumer had begun is an orphan at once."""
    counts: frozenset[str]
    """The states by which a queue's messages are counted."""
    moment: float
    """A delay, in seconds, that `pass_time` can make pass within a test."""

    def transport(self, faults: Faults | None = None) -> Transport: ...
    def consume(self, *queues: str, faults: Faults | None = None) -> Consumer: ...
    def backend(self, expires: float | None = 86_400.0, failure_expires: float | None = None) -> ResultBackend: ...
    def queue(self, name: str, exchange: Exchange | str = "", routing_key: str = "", **options: Any) -> Queue:
        """A queue of the kind that this world is about."""
        ...

    def find(self, task_id: str) -> Whereabouts | None:
        """Where a message is, whether or not the transport can tell."""
        ...

    def put_raw(self, queue: str, envelope: bytes) -> None:
        """Any bytes as a message, as only a foreign client would send them."""
        ...

    def unwrapped(self, raw: bytes) -> bytes:
        """What `put_raw` had put, of an envelope as the transport gives it."""
        ...

    def now(self) -> float: ...
    def pass_time(self, seconds: float) -> None:
        """The wall clock moves on; living consumers renew in time."""
        ...

    def kill(self, consumer: Consumer) -> None:
        """Its process dies: nothing is given back or closed."""
        ...

    def pause(self, consumer: Consumer) -> None:
        """Its process is stopped: no call is made until `resume`, no renewal either."""
        ...

    def resume(self, consumer: Consumer) -> None: ...
    def recover(self, by: Consumer) -> Recovered:
        """Recover as often as it takes this broker to be sure of all deaths so far; the living renew meanwhile."""
        ...

    def close(self) -> None: ...


class Whole:
    """What is the same for every broker that lacks nothing."""

    lacks: Mapping[Promise, str] = MappingProxyType({})
    requeues = False
    orphans_at_once = True
    counts = frozenset({"ready", "held", "begun", "delayed", "dead"})
    moment = 60.0
    _looks: Transport | None = None

    def transport(self, faults: Faults | None = None) -> Transport:
        raise NotImplementedError

    def queue(self, name: str, exchange: Exchange | str = "", routing_key: str = "", **options: Any) -> Queue:
        return Queue(name, exchange, routing_key, **options)

    def find(self, task_id: str) -> Whereabouts | None:
        self._looks = self._looks or self.transport()
        return self._looks.find(task_id)

    def unwrapped(self, raw: bytes) -> bytes:
        return raw


def deliveries(world: World, many: int) -> object:
    """That many, or anything where nobody counts them."""
    return ANY if "deliveries" in world.lacks else many


def sweep(world: World, by: Consumer, *waits: float) -> Recovered:
    """Recover at once and after each wait; what all of it brought."""
    sweeps = [by.recover()]
    for wait in waits:
        world.pass_time(wait)
        sweeps.append(by.recover())
    return Recovered(sum(each.returned for each in sweeps), [orphan for each in sweeps for orphan in each.orphans])


class MemoryWorld(Whole):
    """Leases go by the clock, so that time must pass before a death is noticed."""

    shared_by_processes = False
    leases_by_clock = True
    delays_calls = True
    keeps_places = True
    priorities = (0, 5, 9)

    def __init__(self, directory: Path) -> None:
        self.name = f"conformance-{next(_names)}"
        self.clock = Clock()
        self.broker = Broker.named(self.name, self.clock)
        self.living: list[Consumer] = []

    def transport(self, faults: Faults | None = None) -> MemoryTransport:
        return MemoryTransport(self.name, faults=faults)

    def consume(self, *queues: str, faults: Faults | None = None) -> Consumer:
        consumer = self.transport(faults).consume(queues)
        self.living.append(consumer)
        return consumer

    def backend(self, expires: float | None = 86_400.0, failure_expires: float | None = None) -> MemoryBackend:
        return MemoryBackend(self.name, expires=expires, failure_expires=failure_expires)

    def put_raw(self, queue: str, envelope: bytes) -> None:
        with self.broker.locked():
            self.broker.enqueue(queue, envelope)

    def now(self) -> float:
        return self.clock()

    def pass_time(self, seconds: float) -> None:
        self.clock.jump(seconds)
        for consumer in self.living:
            consumer.renew()

    def kill(self, consumer: Consumer) -> None:
        self.living.remove(consumer)

    def pause(self, consumer: Consumer) -> None:
        self.living.remove(consumer)

    def resume(self, consumer: Consumer) -> None:
        self.living.append(consumer)

    def recover(self, by: Consumer) -> Recovered:
        return sweep(self, by, self.broker.lease_s, self.broker.lease_s / 2)

    def close(self) -> None:
        pass


class SqliteWorld(Whole):
    """Leases are locks of the operating system: a death is noticed at once, and no time makes one."""

    shared_by_processes = True
    leases_by_clock = False
    delays_calls = True
    keeps_places = True
    priorities = (0, 5, 9)

    def __init__(self, directory: Path) -> None:
        self.path = directory / "broker.sqlite3"
        self.clock = Clock()
        self._living: list[Consumer] = []
        self._paused: list[Consumer] = []
        self._opened: list[SqliteTransport | SqliteBackend] = []

    def transport(self, faults: Faults | None = None) -> SqliteTransport:
        transport = SqliteTransport(self._database(), faults=faults)
        self._opened.append(transport)
        return transport

    def consume(self, *queues: str, faults: Faults | None = None) -> Consumer:
        consumer = self.transport(faults).consume(queues)
        self._living.append(consumer)
        return consumer

    def backend(self, expires: float | None = 86_400.0, failure_expires: float | None = None) -> SqliteBackend:
        backend = SqliteBackend(self._database(), expires=expires, failure_expires=failure_expires)
        self._opened.append(backend)
        return backend

    def _database(self) -> Database:
        """A connection of its own, as another process has."""
        return Database(self.path, clock=self.clock)

    def put_raw(self, queue: str, envelope: bytes) -> None:
        with self.transport().database.transaction() as tx:
            messages.insert(tx, [(queue, 0, 0, None, None, self.now(), None, None, envelope)])

    def now(self) -> float:
        return self.clock()

    def pass_time(self, seconds: float) -> None:
        self.clock.jump(seconds)
        for consumer in self._living:
            if consumer not in self._paused:
                consumer.renew()

    def kill(self, consumer: Consumer) -> None:
        assert isinstance(consumer, SqliteConsumer)
        self._living.remove(consumer)
        consumer.forget()  # the kernel closes a dead process's files: its lock ends, nothing else does

    def pause(self, consumer: Consumer) -> None:
        """A stopped process keeps its locks."""
        self._paused.append(consumer)

    def resume(self, consumer: Consumer) -> None:
        self._paused.remove(consumer)

    def recover(self, by: Consumer) -> Recovered:
        self.pass_time(0)
        return by.recover()

    def close(self) -> None:
        for opened in (*self._living, *self._opened):
            opened.close()


class RedisWorld(Whole):
    """Keys of its own in a Redis that others use as well. The server is told to take our clock for its own."""

    shared_by_processes = True
    leases_by_clock = True
    delays_calls = False
    keeps_places = False
    priorities = (9, 5, 0)

    def __init__(self, directory: Path) -> None:
        self.prefix = f"conformance-{os.getpid()}-{secrets.token_hex(4)}:"
        self.clock = Clock()
        self.living: list[Consumer] = []
        self._consumers: list[RedisConsumer] = []
        self._opened: list[RedisTransport | RedisBackend] = []

    def transport(self, faults: Faults | None = None) -> RedisTransport:
        options = RedisOptions(global_keyprefix=self.prefix)
        transport = RedisTransport(Server.at(REDIS_URL, options), options, faults=faults, skew=self._skew)
        self._opened.append(transport)
        return transport

    def consume(self, *queues: str, faults: Faults | None = None) -> Consumer:
        consumer = self.transport(faults).consume(queues)
        assert isinstance(consumer, RedisConsumer)
        self.living.append(consumer)
        self._consumers.append(consumer)
        return consumer

    def backend(self, expires: float | None = 86_400.0, failure_expires: float | None = None) -> RedisBackend:
        keys = ResultKeys(self.prefix, expires, failure_expires)
        backend = RedisBackend(Server.at(REDIS_URL, RedisOptions()), keys)
        self._opened.append(backend)
        return backend

    def put_raw(self, queue: str, envelope: bytes) -> None:
        self.call(b"LPUSH", f"{self.prefix}{queue}", envelope)

    def now(self) -> float:
        return self.clock()

    def _skew(self) -> float:
        return self.clock() - time.time()

    def pass_time(self, seconds: float) -> None:
        self.clock.jump(seconds)
        for key in self._keys():
            left = self.call(b"PTTL", key)
            if left > 0:
                self.call(b"PEXPIRE", key, max(0, left - round(seconds * 1000)))
        for consumer in self.living:
            consumer.renew()

    def kill(self, consumer: Consumer) -> None:
        assert isinstance(consumer, RedisConsumer)
        self.living.remove(consumer)
        consumer.forget()

    def pause(self, consumer: Consumer) -> None:
        self.living.remove(consumer)

    def resume(self, consumer: Consumer) -> None:
        self.living.append(consumer)

    def recover(self, by: Consumer) -> Recovered:
        return sweep(self, by, LEASE_S + 0.5, LEASE_S / 2 + 0.5)  # the server's clock runs a little between calls

    def close(self) -> None:
        for consumer in self._consumers:  # the paused and killed ones, too
            consumer.forget()
        keys = self._keys()
        if keys:
            self.call(b"UNLINK", *keys)
        for opened in self._opened:
            opened.close()

    def call(self, *command: bytes | str | float) -> Any:
        """Ask the server itself."""
        if not self._opened:
            self.transport()
        with self._opened[0].server.borrowed() as link:
            return link.call(*command)

    def _keys(self) -> list[bytes]:
        found: list[bytes] = []
        cursor = b"0"
        while True:
            cursor, some = self.call(b"SCAN", cursor, b"MATCH", f"{self.prefix}*", b"COUNT", 1000)
            found += some
            if cursor == b"0":
                return found


def _answers(url: str) -> bool:
    try:
        with Server.at(url, RedisOptions()).borrowed():
            return True
    except OperationalError:
        return False


REDIS_URL = "redis://127.0.0.1:6379/15"
WORLDS: dict[str, type[MemoryWorld] | type[SqliteWorld] | type[RedisWorld] | type[RabbitWorld]] = {
    "memory": MemoryWorld,
    "sqlite": SqliteWorld,
    **({"redis": RedisWorld} if _answers(REDIS_URL) else {}),
    **({"rabbitmq": RabbitWorld, "rabbitmq-quorum": QuorumWorld} if rabbitmq_vhosts.available() else {}),
}
"""Every implementation; a new adapter is finished when the suite passes with it."""
