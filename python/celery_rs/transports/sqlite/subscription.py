"""Broadcasts: control requests, replies and events, for who subscribes.

One row for every envelope; each subscription has a place in the log of its own and is woken by a datagram. Who reads
nothing for a minute misses what is older.
"""

import os
import secrets
import time
from collections.abc import Sequence
from functools import partial

from celery_rs._core import topic_matches
from celery_rs.transports.sqlite.database import Database, Transaction
from celery_rs.transports.sqlite.wake import NET_S, Bell, Ring

KEPT_S = 60.0


class SqliteSubscription:
    """See `transports.base.Subscription`."""

    def __init__(self, database: Database, exchange: str, pattern: str) -> None:
        self._database = database
        self._exchange = exchange
        self._pattern = pattern
        self._woken = False
        self._bell = self._subscribe()
        database.keep(self)

    def _subscribe(self) -> Bell:
        bell = self._database.bell(f"{os.getpid()}-{secrets.token_hex(3)}")
        try:
            with self._database.transaction() as tx:
                tx.execute(
                    "INSERT INTO subscriptions (exchange, pattern, address) VALUES (?, ?, ?)",
                    (self._exchange, self._pattern, bell.address),
                )
                # By the counter, not by the rows: those that it has counted may be gone.
                rows = tx.execute("SELECT seq FROM sqlite_sequence WHERE name = 'broadcasts'").fetchall()
                self._place = int(rows[0][0]) if rows else 0
        except BaseException:
            bell.close()
            raise
        return bell

    def receive(self, timeout: float) -> Sequence[bytes]:
        deadline = time.monotonic() + timeout
        self._stay_listed()
        version = self._database.version()
        while True:
            if heard := self._read():
                return heard
            while True:
                left = deadline - time.monotonic()
                if self._woken or left <= 0:
                    self._woken = False
                    return []
                if self._bell.wait(min(left, NET_S)):
                    break
                if version != (version := self._database.version()):
                    break

    def _stay_listed(self) -> None:
        """Subscribe anew where the file has been replaced, or somebody could not reach us and struck us off."""
        if not self._database.read("SELECT 1 FROM subscriptions WHERE address = ?", (self._bell.address,)):
            old, self._bell = self._bell, self._subscribe()
            old.close()

    def _read(self) -> list[bytes]:
        rows = self._database.read(
            "SELECT id, routing_key, envelope FROM broadcasts WHERE id > ? AND exchange = ? ORDER BY id",
            (self._place, self._exchange),
        )
        if rows:
            self._place = rows[-1][0]
        return [envelope for _, key, envelope in rows if topic_matches(self._pattern, key)]

    def wake(self) -> None:
        self._woken = True
        self._bell.ring()

    def is_lost(self) -> bool:
        return False

    def close(self) -> None:
        with self._database.transaction() as tx:
            _unsubscribe(self._bell.address, tx)
        self._bell.close()
        self._database.forgo(self)

    def forget(self) -> None:
        self._bell.forget()


def announce(database: Database, exchange: str, routing_key: str, envelopes: Sequence[bytes]) -> None:
    """Write them down for the subscriptions there are; without any, nothing is written."""
    subscriptions = database.read("SELECT address, pattern FROM subscriptions WHERE exchange = ?", (exchange,))
    hearers = [address for address, pattern in subscriptions if topic_matches(pattern, routing_key)]
    if not hearers:
        return
    now = database.clock()
    with database.transaction() as tx:
        tx.executemany(
            "INSERT INTO broadcasts (exchange, routing_key, at, envelope) VALUES (?, ?, ?, ?)",
            [(exchange, routing_key, now, envelope) for envelope in envelopes],
        )
        for address in hearers:
            tx.rings.append(Ring(address, partial(_unsubscribe, address)))


def _unsubscribe(address: str, tx: Transaction) -> None:
    tx.execute("DELETE FROM subscriptions WHERE address = ?", (address,))
