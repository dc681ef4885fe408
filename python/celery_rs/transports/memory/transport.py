"""The in-process broker's door: everything but consuming.

Transports opened for the same name share one broker. It lives as long as the process: nothing here is
durable, and a forked child cannot reach it.
"""

import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from celery_rs._core import open_envelopes
from celery_rs.errors import NotSupported
from celery_rs.transports.base import (
    Consumer,
    DeadLetter,
    DeadLetters,
    DeadPage,
    Delayed,
    Fact,
    Facts,
    Features,
    HandedBack,
    Outgoing,
    QueueInfo,
    Subscription,
    Wait,
    Whereabouts,
)
from celery_rs.transports.edit import with_arguments
from celery_rs.transports.faults import Faults
from celery_rs.transports.memory.broker import DROPPED_FACT_S, LEASE_S, Broker
from celery_rs.transports.memory.consumer import MemoryConsumer
from celery_rs.wire import Exchange, Queue

UNHEARD_LIMIT = 10_000
"""A subscription that nobody reads keeps so many of the newest envelopes."""


class MemoryTransport:
    """See `transports.base.Transport`. `clock` and `lease_s` count for the first who opens the name."""

    features = Features(delays=True, facts=True, browse=True, once=True, ages=True)

    def __init__(
        self,
        name: str = "",
        *,
        clock: Callable[[], float] = time.time,
        lease_s: float = LEASE_S,
        faults: Faults | None = None,
    ) -> None:
        self.broker = Broker.named(name, clock, lease_s)
        self.facts: Facts = MemoryFacts(self.broker)
        self.dead: DeadLetters = MemoryDeadLetters(self.broker)
        self._faults = faults or Faults()

    def declare(self, queues: Sequence[Queue]) -> None:
        with self.broker.locked():
            for queue in queues:
                self.broker.declare(queue)

    def publish(self, batch: Sequence[Outgoing], *, wait: Wait = "stored", deadline: float = 5.0) -> None:
        with self.broker.locked():
            self.broker.publish(batch)

    def flush(self, deadline: float) -> int:
        """Nothing is ever only written."""
        return 0

    def consume(self, queues: Sequence[str]) -> Consumer:
        return MemoryConsumer(self.broker, queues, self._faults)

    def subscribe(self, exchange: Exchange, pattern: str, queue: str | Queue = "") -> Subscription:
        return MemorySubscription(self.broker, exchange.name, pattern)

    def announce(
        self,
        exchange: Exchange,
        routing_key: str,
        envelopes: Sequence[bytes],
        *,
        confirmed: bool = False,
        expires: float | None = None,
    ) -> None:
        with self.broker.locked():
            for heard in self.broker.hearers(exchange.name, routing_key):
                heard.extend(envelopes)
            self.broker.changed.notify_all()

    def queues(self, names: Sequence[str] | None = None) -> dict[str, QueueInfo]:
        with self.broker.locked():
            self.broker.promote()
            return {name: self._info(name) for name in (self._known_queues() if names is None else names)}

    def purge(self, queue: str) -> int:
        with self.broker.locked():
            return self.broker.purge(queue)

    def find(self, task_id: str) -> Whereabouts | None:
        alive = self.locate([task_id])
        if alive:
            return alive[task_id]
        with self.broker.locked():
            for letter in self.broker.dead.values():
                if letter.task_id == task_id:
                    return Whereabouts(letter.queue, "dead", None, None, letter.crashes, letter.deliveries)
            return None

    def locate(self, task_ids: Collection[str]) -> dict[str, Whereabouts]:
        wanted = frozenset(task_ids)
        found = {}
        with self.broker.locked():
            self.broker.promote()
            for stored in self.broker.everything_stored():  # what is held comes last, and counts
                if stored.task_id in wanted:
                    holder = stored.holder.name if stored.holder else None
                    found[stored.task_id] = Whereabouts(
                        stored.queue, stored.state, holder, stored.due, stored.crashes, stored.deliveries
                    )
        return found

    def delayed(self, queues: Sequence[str], limit: int) -> Sequence[Delayed]:
        with self.broker.locked():
            self.broker.promote()
            kept = [(due, stored) for due, _, stored in sorted(self.broker.delayed) if stored.queue in queues][:limit]
        envelopes = open_envelopes([stored.envelope for _, stored in kept])
        return [Delayed(stored.queue, due, envelope) for (due, stored), envelope in zip(kept, envelopes, strict=True)]

    def describe(self) -> str:
        return str(self.broker)

    def hand_back(self, *, dead: bool) -> HandedBack:
        raise NotSupported(
            "handing back a broker in memory", "no Celery reads it; use `celery-rs migrate` to move to another broker"
        )

    def advice(self) -> Sequence[str]:
        return ()

    def after_fork(self) -> None:
        """Nothing to forget: every call from a child is refused, since it would talk to a copy."""

    def close(self) -> None:
        """The broker stays for others of the same name."""

    def _known_queues(self) -> list[str]:
        stored = [message.queue for message in self.broker.everything_stored()]
        return sorted({*self.broker.ready, *stored, *(letter.queue for letter in self.broker.dead.values())})

    def _info(self, name: str) -> QueueInfo:
        here = [stored for stored in self.broker.everything_stored() if stored.queue == name]
        births = [stored.born for stored in here if stored.state == "ready"]

        def count(state: str) -> int:
            return sum(stored.state == state for stored in here)

        return QueueInfo(
            ready=len(births),
            held=count("held"),
            begun=count("begun"),
            delayed=count("delayed"),
            dead=sum(letter.queue == name for letter in self.broker.dead.values()),
            oldest=max(0.0, self.broker.clock() - min(births)) if births else None,
            consumers=sum(name in holder.queues and not holder.closed for holder in self.broker.holders.values()),
        )


class MemoryFacts:
    """See `transports.base.Facts`."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def put(self, kind: str, key: str, value: bytes, until: float | None = None) -> None:
        with self._broker.locked():
            self._broker.record_fact(Fact(kind, key, value, until))

    def drop(self, kind: str, key: str) -> None:
        with self._broker.locked():
            if (kind, key) in self._broker.facts:
                self._broker.record_fact(Fact(kind, key, None, self._broker.clock() + DROPPED_FACT_S))

    def since(self, version: int) -> tuple[int, Sequence[Fact]]:
        with self._broker.locked():
            now = self._broker.clock()
            facts = self._broker.facts.values()
            valid = [fact for since, fact in facts if since > version and (fact.until is None or fact.until > now)]
            return self._broker.facts_version, valid


class MemoryDeadLetters:
    """See `transports.base.DeadLetters`. Ids are decimal numbers that rise with every burial."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def page(self, queue: str | None = None, after: str | None = None, limit: int = 100) -> DeadPage:
        with self._broker.locked():
            rest = [
                letter
                for serial, letter in self._broker.dead.items()
                if serial > int(after or 0) and queue in (None, letter.queue)
            ]
        letters = rest[:limit]
        return DeadPage(letters, letters[-1].id if len(rest) > limit else None)

    def get(self, id: str) -> DeadLetter:
        with self._broker.locked():
            return self._broker.letter(id)

    def retry(self, ids: Collection[str]) -> int:
        with self._broker.locked():
            letters = [letter for letter in self._broker.dead.values() if letter.id in ids]
            for letter in letters:
                self._broker.revive(letter)
            return len(letters)

    def edit(self, id: str, args: Sequence[object], kwargs: Mapping[str, object]) -> None:
        with self._broker.locked():
            letter = self._broker.letter(id)
            self._broker.dead[int(id)] = replace(letter, envelope=with_arguments(letter.envelope, args, kwargs))

    def purge(self, before: float | None = None) -> int:
        with self._broker.locked():
            gone = [serial for serial, letter in self._broker.dead.items() if before is None or letter.died_at < before]
            for serial in gone:
                del self._broker.dead[serial]
            return len(gone)


class MemorySubscription:
    """See `transports.base.Subscription`."""

    def __init__(self, broker: Broker, exchange: str, pattern: str) -> None:
        self._broker = broker
        self._heard: deque[bytes] = deque(maxlen=UNHEARD_LIMIT)
        self._key = (exchange, pattern, self._heard)
        self._woken = False
        with broker.locked():
            broker.subscriptions.append(self._key)

    def receive(self, timeout: float) -> Sequence[bytes]:
        with self._broker.locked():
            self._broker.changed.wait_for(lambda: self._heard or self._woken, timeout)
            self._woken = False
            heard = list(self._heard)
            self._heard.clear()
            return heard

    def wake(self) -> None:
        with self._broker.locked():
            self._woken = True
            self._broker.changed.notify_all()

    def is_lost(self) -> bool:
        return False

    def close(self) -> None:
        with self._broker.locked():
            self._broker.subscriptions = [key for key in self._broker.subscriptions if key[-1] is not self._heard]
