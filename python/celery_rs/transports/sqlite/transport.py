"""The embedded broker's door: everything but consuming."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from celery_rs._core import seal_envelopes
from celery_rs.errors import NotSupported
from celery_rs.transports.base import (
    Consumer,
    DeadLetters,
    Delayed,
    Facts,
    Features,
    HandedBack,
    Outgoing,
    QueueInfo,
    Subscription,
    Wait,
    Whereabouts,
)
from celery_rs.transports.faults import Faults
from celery_rs.transports.sqlite import bindings, census, messages
from celery_rs.transports.sqlite.consumer import SqliteConsumer
from celery_rs.transports.sqlite.database import Database
from celery_rs.transports.sqlite.dead import SqliteDeadLetters
from celery_rs.transports.sqlite.facts import SqliteFacts
from celery_rs.transports.sqlite.location import open_database
from celery_rs.transports.sqlite.subscription import SqliteSubscription, announce
from celery_rs.wire import Exchange, Queue


class SqliteTransport:
    """See `transports.base.Transport`. The file is opened (and made) on first use."""

    features = Features(delays=True, facts=True, browse=True, once=True, ages=True)

    def __init__(self, database: Database, *, faults: Faults | None = None) -> None:
        self.database = database
        self.facts: Facts = SqliteFacts(database)
        self.dead: DeadLetters = SqliteDeadLetters(database)
        self._faults = faults or Faults()
        self._fleeting: dict[str, Queue] = {}
        # Whether it is likely: then the message and the choice of whom to wake are one transaction.
        self._somebody_waits = False

    @classmethod
    def open(cls, url: str, options: Mapping[str, Any]) -> "SqliteTransport":
        """Raises ImproperlyConfigured for a URL or an option that makes no sense."""
        return cls(open_database(url, options))

    def declare(self, queues: Sequence[Queue]) -> None:
        bindings.check(queues)
        self._fleeting |= {queue.name: queue for queue in queues if queue.is_fleeting}
        with self.database.transaction() as tx:
            bindings.declare(tx, queues)

    def publish(self, batch: Sequence[Outgoing], *, wait: Wait = "stored", deadline: float = 5.0) -> None:
        """A commit is cheap enough for "written" to mean "stored"."""
        envelopes = seal_envelopes([outgoing.message for outgoing in batch], [outgoing.route for outgoing in batch])
        database = self.database
        if self._somebody_waits or not messages.is_plain(batch):
            with database.transaction(deadline) as tx:
                messages.refuse(messages.enqueue(tx, batch, envelopes, database.clock()))
            self._somebody_waits = bool(tx.rings)
        else:
            self._somebody_waits = messages.enqueue_plain(database, batch[0], envelopes[0], database.clock(), deadline)
        database.relieve()

    def flush(self, deadline: float) -> int:
        """Nothing is ever only written."""
        return 0

    def consume(self, queues: Sequence[str]) -> Consumer:
        return SqliteConsumer(self.database, queues, self._faults, self._fleeting)

    def subscribe(self, exchange: Exchange, pattern: str, queue: str | Queue = "") -> Subscription:
        return SqliteSubscription(self.database, exchange.name, pattern)

    def announce(
        self,
        exchange: Exchange,
        routing_key: str,
        envelopes: Sequence[bytes],
        *,
        confirmed: bool = False,
        expires: float | None = None,
    ) -> None:
        announce(self.database, exchange.name, routing_key, envelopes)

    def queues(self, names: Sequence[str] | None = None) -> dict[str, QueueInfo]:
        return census.take(self.database, names)

    def purge(self, queue: str) -> int:
        with self.database.transaction() as tx:
            return tx.execute("DELETE FROM messages WHERE queue = ? AND state IN (0, 3)", (queue,)).rowcount

    def find(self, task_id: str) -> Whereabouts | None:
        return census.find(self.database, task_id)

    def locate(self, task_ids: Collection[str]) -> dict[str, Whereabouts]:
        return census.locate(self.database, task_ids)

    def delayed(self, queues: Sequence[str], limit: int) -> Sequence[Delayed]:
        return census.delayed(self.database, queues, limit)

    def describe(self) -> str:
        return f"sqlite:///{self.database.path}"

    def hand_back(self, *, dead: bool) -> HandedBack:
        raise NotSupported(
            "handing back an SQLite file", "no Celery reads it; use `celery-rs migrate` to move to another broker"
        )

    def advice(self) -> Sequence[str]:
        return ()

    def after_fork(self) -> None:
        self.database.after_fork()

    def close(self) -> None:
        self.database.close()
