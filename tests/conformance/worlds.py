"""Brokers and result stores under test, and what may happen to the processes that use them.

A world is one broker with one result store beside it. Each transport or consumer that it opens stands for a process of
its own; a world knows how such a process dies, how time passes, and how a reply gets lost on its broker.
"""

from itertools import count
from pathlib import Path
from typing import Protocol

from celery_rs.backends import ResultBackend
from celery_rs.backends.memory import MemoryBackend
from celery_rs.transports import Consumer, Recovered, Transport
from celery_rs.transports.faults import Clock, Faults
from celery_rs.transports.memory import Broker, MemoryTransport

_names = count(1)


class World(Protocol):
    shared_by_processes: bool
    """Whether a forked child reaches the same broker."""

    def transport(self, faults: Faults | None = None) -> Transport: ...
    def consume(self, *queues: str, faults: Faults | None = None) -> Consumer: ...
    def backend(self, expires: float | None = 86_400.0) -> ResultBackend: ...
    def put_raw(self, queue: str, envelope: bytes) -> None:
        """Any bytes as a message, as only a foreign client would send them."""
        ...

    def now(self) -> float: ...
    def pass_time(self, seconds: float) -> None:
        """The wall clock moves on; living consumers renew in time."""
        ...

    def kill(self, consumer: Consumer) -> None:
        """Its process dies: nothing is given back or closed."""
        ...

    def recover(self, by: Consumer) -> Recovered:
        """Recover as often as it takes this broker to be sure of all deaths so far."""
        ...

    def close(self) -> None: ...


class MemoryWorld:
    """Leases go by the clock, so that time must pass before a death is noticed."""

    shared_by_processes = False

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

    def backend(self, expires: float | None = 86_400.0) -> MemoryBackend:
        return MemoryBackend(self.name, expires=expires)

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

    def recover(self, by: Consumer) -> Recovered:
        sweeps: list[Recovered] = [by.recover()]
        for wait in (self.broker.lease_s, self.broker.lease_s / 2):
            self.pass_time(wait)
            sweeps.append(by.recover())
        return Recovered(
            sum(sweep.returned for sweep in sweeps), [orphan for sweep in sweeps for orphan in sweep.orphans]
        )

    def close(self) -> None:
        pass


WORLDS: dict[str, type[MemoryWorld]] = {"memory": MemoryWorld}
"""Every implementation; a new adapter is finished when the suite passes with it."""
