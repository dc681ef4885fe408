"""The broker itself: what Redis or the SQLite file would be, as plain containers under one lock.

Invariant: a message is in exactly one of `ready`, `delayed`, `held` and `dead`, and moves between
them only inside `with broker.locked()`. `held` is keyed by tag, and a tag leaves it whenever the holder
changes: looking a tag up there is the fence.
"""

import heapq
import itertools
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from celery_rs._core import Envelope, open_envelopes, seal_envelopes, topic_matches
from celery_rs.config import mask_urls
from celery_rs.errors import NotSupported, OperationalError, Unroutable
from celery_rs.transports.base import Burial, DeadLetter, Fact, Outgoing, Route, Tag
from celery_rs.transports.memory.results import ResultRecords
from celery_rs.wire import Queue, binding

ONCE_S = 86_400.0
"""How long a message with the same `once` is refused."""

LEASE_S = 15.0
"""How long a holder is trusted without a renewal; see `find_dead` for what happens then."""

EXCHANGE_TYPES = ("direct", "topic", "fanout")

DROPPED_FACT_S = 86_400.0
"""How long a dropped fact is still told to workers that look rarely."""


@dataclass(slots=True, eq=False)
class Holder:
    """What the broker knows of a consumer. `lost` are tags taken from it that it has not been told of."""

    name: str
    queues: dict[str, None]
    lease_ends: float
    missed_since: float | None = None
    closed: bool = False
    lost: set[Tag] = field(default_factory=set)


@dataclass(slots=True, eq=False)
class Stored:
    """One message in one queue. `place` orders equals: it rises with every arrival at the end of a queue.

    `begun`: started under early acknowledgement. `running`: started under late acknowledgement.
    """

    envelope: bytes
    queue: str
    task: str | None
    task_id: str | None
    priority: int
    place: int
    born: float
    due: float | None = None
    holder: Holder | None = None
    begun: bool = False
    running: bool = False
    redelivered: bool = False
    crashes: int = 0
    deliveries: int = 0

    @property
    def state(self) -> Literal["ready", "held", "begun", "delayed"]:
        if self.holder is not None:
            return "begun" if self.begun else "held"
        return "ready" if self.due is None else "delayed"


class Broker:
    """One name, one broker, one process. Methods without a lock of their own are called under `locked()`."""

    def __init__(self, name: str, clock: Callable[[], float] = time.time, lease_s: float = LEASE_S) -> None:
        self.name = name
        self.clock = clock
        self.lease_s = lease_s
        self.changed = threading.Condition()
        self.ready: dict[str, list[tuple[int, int, Stored]]] = {}
        self.delayed: list[tuple[float, int, Stored]] = []
        self.held: dict[Tag, Stored] = {}
        self.dead: dict[int, DeadLetter] = {}
        self.holders: dict[str, Holder] = {}
        self.subscriptions: list[tuple[str, str, deque[bytes]]] = []
        self.facts: dict[tuple[str, str], tuple[int, Fact]] = {}
        self.facts_version = 0
        self.results = ResultRecords(clock)
        self._bindings: dict[str, list[tuple[str, binding]]] = {}
        self._fanouts: set[str] = set()
        self._fleeting: set[str] = set()
        self._once: dict[str, float] = {}
        self._serial = itertools.count(1)
        self._pid = os.getpid()

    @classmethod
    def named(cls, name: str, clock: Callable[[], float] = time.time, lease_s: float = LEASE_S) -> "Broker":
        """The broker of that name; the first to ask makes it (with this clock), and it lives as long as the process."""
        with _opening:
            return _brokers.setdefault((os.getpid(), name), cls(name, clock, lease_s))

    def __str__(self) -> str:
        return f"{mask_urls(f'memory://{self.name}')} (in process {self._pid})"

    def locked(self) -> threading.Condition:
        """`with broker.locked():` is one critical section. Refused in a forked child, which has but a dead copy."""
        if os.getpid() != self._pid:
            raise OperationalError(
                f"broker {self} cannot be reached from its forked child {os.getpid()}; "
                "use sqlite:// or another broker that processes can share"
            )
        return self.changed

    # Topology

    def declare(self, queue: Queue) -> None:
        for bound in queue.all_bindings:
            if bound.exchange.type not in EXCHANGE_TYPES:
                raise NotSupported(
                    f"exchange {bound.exchange.name!r} of type {bound.exchange.type!r}",
                    f"use {', '.join(EXCHANGE_TYPES)}",
                )
        if queue.is_fleeting:
            self._fleeting.add(queue.name)
        else:
            self.ready.setdefault(queue.name, [])
        for bound in queue.all_bindings:
            if bound.exchange.type == "fanout":
                self._fanouts.add(bound.exchange.name)
            known = self._bindings.setdefault(bound.exchange.name, [])
            if (queue.name, bound) not in known:
                known.append((queue.name, bound))

    def destinations(self, route: Route) -> Sequence[str]:
        """The queues a message goes to; there may be none."""
        if not route.exchange:
            return (route.routing_key,)
        bound = self._bindings.get(route.exchange, ())
        names = {name: None for name, binding in bound if _binds(binding, route.routing_key)}
        return tuple(name for name in names if name not in self._fleeting or self._is_consumed(name))

    def forsake(self, queues: Iterable[str]) -> None:
        """Drop what waits in the fleeting ones among these that nobody consumes any more."""
        for name in queues:
            if name in self._fleeting and not self._is_consumed(name):
                self.purge(name)
                self.ready.pop(name, None)

    def _is_consumed(self, queue: str) -> bool:
        return any(queue in holder.queues and not holder.closed for holder in self.holders.values())

    # Into the queues

    def publish(self, batch: Sequence[Outgoing]) -> None:
        """All of it or, when one of it would go nowhere, nothing: nobody would ever miss that one.

        What a fanout exchange says reaches those who listen, and there may be none.
        """
        for outgoing in batch:
            if not self.destinations(outgoing.route) and outgoing.route.exchange not in self._fanouts:
                raise Unroutable(_unroutable(outgoing.route))
        self.publish_or_bury(batch)

    def publish_or_bury(self, batch: Sequence[Outgoing]) -> None:
        """For follow-ups, which have no caller who could be told: a dead letter tells the operator."""
        envelopes = seal_envelopes([outgoing.message for outgoing in batch], [outgoing.route for outgoing in batch])
        for outgoing, envelope in zip(batch, envelopes, strict=True):
            message, route, not_before, once, _ = outgoing
            queues = self.destinations(route)
            if not queues and route.exchange not in self._fanouts:
                lost = self._new(route.routing_key, envelope, message.task, message.id, message.priority)
                self.bury(lost, Burial("unroutable", _unroutable(route)))
            elif once is None or self._is_first(once):
                for queue in queues:
                    self.enqueue(queue, envelope, message.task, message.id, message.priority, not_before)

    def enqueue(
        self,
        queue: str,
        envelope: bytes,
        task: str | None = None,
        task_id: str | None = None,
        priority: int = 0,
        not_before: float | None = None,
    ) -> None:
        stored = self._new(queue, envelope, task, task_id, priority)
        if not_before is not None and not_before > stored.born:
            self.delay(stored, not_before)
        else:
            self.make_ready(stored)

    def _new(self, queue: str, envelope: bytes, task: str | None, task_id: str | None, priority: int) -> Stored:
        return Stored(envelope, queue, task, task_id, priority, next(self._serial), self.clock())

    def make_ready(self, stored: Stored) -> None:
        """At its place: the end of the queue for a new message, its old place for one that was given back."""
        stored.due = None
        heapq.heappush(self.ready.setdefault(stored.queue, []), (-stored.priority, stored.place, stored))
        self.changed.notify_all()

    def move_to_end(self, stored: Stored) -> None:
        stored.place = next(self._serial)

    def delay(self, stored: Stored, due: float) -> None:
        stored.due = due
        heapq.heappush(self.delayed, (due, stored.place, stored))
        self.changed.notify_all()

    def promote(self) -> None:
        """What is due goes to the end of its queue."""
        now = self.clock()
        while self.delayed and self.delayed[0][0] <= now:
            stored = heapq.heappop(self.delayed)[-1]
            self.move_to_end(stored)
            self.make_ready(stored)

    def next_due(self) -> float | None:
        """Seconds until the next delayed message is due."""
        return max(0.0, self.delayed[0][0] - self.clock()) if self.delayed else None

    def _is_first(self, once: str) -> bool:
        now = self.clock()
        while self._once and (oldest := next(iter(self._once.items())))[1] <= now:
            del self._once[oldest[0]]
        if self._once.get(once, now) > now:
            return False
        self._once[once] = now + ONCE_S
        return True

    # Out of the queues

    def take(self, holder: Holder, limit: int) -> list[Stored]:
        """Up to `limit` messages of the holder's queues, by priority, then place."""
        taken: list[Stored] = []
        while len(taken) < limit:
            queues = [self.ready[name] for name in holder.queues if self.ready.get(name)]
            if not queues:
                break
            stored = heapq.heappop(min(queues, key=lambda queue: queue[0]))[-1]
            stored.deliveries += 1
            taken.append(stored)
        return taken

    def hold(self, tag: Tag, stored: Stored, holder: Holder) -> None:
        stored.holder = holder
        self.held[tag] = stored

    def release(self, tag: Tag) -> Stored:
        """From here on the tag means nothing."""
        stored = self.held.pop(tag)
        stored.holder, stored.begun, stored.running = None, False, False
        return stored

    def bury(self, stored: Stored, why: Burial) -> None:
        serial = next(self._serial)
        self.dead[serial] = DeadLetter(
            id=str(serial),
            queue=stored.queue,
            task=stored.task,
            task_id=stored.task_id,
            reason=why.reason,
            detail=why.detail,
            crashes=stored.crashes,
            deliveries=stored.deliveries,
            died_at=self.clock(),
            envelope=stored.envelope,
        )

    def revive(self, letter: DeadLetter) -> None:
        """To the end of its queue, as if it had just been published."""
        del self.dead[int(letter.id)]
        opened = open_envelopes([letter.envelope])[0]
        priority = opened.priority if isinstance(opened, Envelope) else 0
        self.enqueue(letter.queue, letter.envelope, letter.task, letter.task_id, priority)

    def letter(self, id: str) -> DeadLetter:
        """Raises KeyError."""
        return self.dead[int(id) if id.isdecimal() else -1]

    def purge(self, queue: str) -> int:
        """Drop what is ready or delayed; returns how many."""
        ready = self.ready.get(queue, [])
        delayed = [entry for entry in self.delayed if entry[-1].queue != queue]
        heapq.heapify(delayed)
        dropped = len(ready) + len(self.delayed) - len(delayed)
        ready.clear()
        self.delayed = delayed
        return dropped

    # Liveness

    def join(self, holder: Holder) -> None:
        """Known from now on; also one that was taken for dead and turns up again."""
        if self.holders.get(holder.name) is not holder:
            self.holders[holder.name] = holder
            self.renew(holder)

    def renew(self, holder: Holder) -> None:
        holder.lease_ends = self.clock() + self.lease_s
        holder.missed_since = None

    def leave(self, holder: Holder) -> None:
        holder.closed = True
        if not any(stored.holder is holder for stored in self.held.values()):
            self.holders.pop(holder.name, None)

    def find_dead(self, finder: Holder) -> list[Holder]:
        """The holders that are gone: closed, or found past their lease in two sweeps half a lease apart.

        One sweep is not enough: after a jump of the clock, or a pause of the broker, everybody looks dead until
        the next renewals have come.
        """
        now = self.clock()
        dead = []
        for holder in self.holders.values():
            if holder is finder or (holder.lease_ends > now and not holder.closed):
                continue
            if holder.missed_since is None:
                holder.missed_since = now
            if holder.closed or now - holder.missed_since >= self.lease_s / 2:
                dead.append(holder)
        return dead

    # Facts and subscriptions

    def record_fact(self, fact: Fact) -> None:
        """A dropped fact (`value` None) is kept for a while, so that everybody hears of it."""
        now = self.clock()
        self.facts = {key: kept for key, kept in self.facts.items() if kept[1].until is None or kept[1].until > now}
        self.facts_version += 1
        self.facts.pop((fact.kind, fact.key), None)
        self.facts[fact.kind, fact.key] = (self.facts_version, fact)
        self.changed.notify_all()

    def hearers(self, exchange: str, routing_key: str) -> Iterable[deque[bytes]]:
        for name, pattern, heard in self.subscriptions:
            if name == exchange and topic_matches(pattern, routing_key):
                yield heard

    def everything_stored(self) -> Iterable[Stored]:
        """Every message but the dead ones."""
        for queue in self.ready.values():
            yield from (stored for *_, stored in queue)
        yield from (stored for *_, stored in self.delayed)
        yield from self.held.values()


def _binds(bound: binding, routing_key: str) -> bool:
    match bound.exchange.type:
        case "fanout":
            return True
        case "topic":
            return topic_matches(bound.routing_key, routing_key)
        case _:
            return bound.routing_key == routing_key


def _unroutable(route: Route) -> str:
    exchange, key = route
    return f"no queue is bound to exchange {exchange!r} for routing key {key!r}; declare one first"


_opening = threading.Lock()
_brokers: dict[tuple[int, str], Broker] = {}
