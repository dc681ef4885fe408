"""The Redis behind a broker or a result store: which server, and connections to it.

Of a failover list the server that answered last is tried first. Connections are never shared between threads at one
time, nor between processes at all: a forked child forgets what it has inherited without closing it, since its parent
still talks there.
"""

import logging
import math
import os
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from celery_rs.errors import ImproperlyConfigured
from celery_rs.transports.failover import in_order
from celery_rs.transports.redis.dialing import dial, find_master
from celery_rs.transports.redis.errors import LinkLost, Refused, in_words_of_the_broker
from celery_rs.transports.redis.link import Link
from celery_rs.transports.redis.location import Location, locations, tls_options
from celery_rs.transports.redis.options import RedisOptions

logger = logging.getLogger("celery_rs.redis")

CONNECT_TIMEOUT_S = 4.0
_LEAST_S = 0.05
"""So long an answer may take whatever the deadline: what is there already is read."""
_FRESH_S = 0.1
"""A connection that was used so lately is not looked at before it is used again."""
_STEP_S = 0.05
"""How exactly a deadline is kept: telling a socket costs more than packing a message."""

_inherited: list[Link] = []
"""Connections of a parent: kept, so that nobody closes them here."""


class Server:
    """Any thread. Raises OperationalError naming the server."""

    def __init__(
        self,
        places: Sequence[Location],
        options: RedisOptions,
        tls: Mapping[str, Any] | None = None,
        role: str = "broker",
    ) -> None:
        self._places = places
        self._role = role
        self._options = options
        self._tls = tls
        self._preferred = 0
        self._idle: list[Link] = []
        self._pid = os.getpid()
        self._changing = threading.Lock()
        if any(place.kind == "sentinel" for place in places) and options.master_name is None:
            raise ImproperlyConfigured(
                f"a {role} at sentinel:// needs the name of the master to look for: "
                f"{'broker' if role == 'broker' else 'result_backend'}_transport_options = {{'master_name': ...}}"
            )

    @classmethod
    def at(
        cls, url: str, options: RedisOptions, *, use_ssl: Any = None, failover: Any = None, role: str = "broker"
    ) -> "Server":
        """Raises ImproperlyConfigured.

        `use_ssl` is broker_use_ssl, `failover` broker_failover_strategy; `role` is what the server is to its user.
        """
        named = "broker_use_ssl" if role == "broker" else "redis_backend_use_ssl"
        return cls(in_order(locations(url), failover), options, tls_options(use_ssl, named), role)

    @property
    def place(self) -> Location:
        """The server in use."""
        return self._places[self._preferred]

    def describe(self) -> str:
        return self.place.shown

    def words(self) -> str:
        """The same with what it is, as errors begin."""
        return f"{self._role} {self.place.shown}"

    def is_same(self, other: "Server") -> bool:
        """Whether both are one database of one server."""
        return self.place.address == other.place.address

    # Connections

    def connect(self, until: float = math.inf) -> Link:
        """A connection of one's own: the next server of the list is tried where one cannot be reached.

        `until` is when to give up, by the monotonic clock.
        """
        first = self._preferred
        last: LinkLost | Refused | None = None
        for step in range(len(self._places)):
            at = (first + step) % len(self._places)
            try:
                link = self._open(self._places[at], until)
            except LinkLost as error:
                last = error
                continue
            except Refused as error:
                last = error
                if "READONLY" in str(error) or "LOADING" in str(error) or "MASTERDOWN" in str(error):
                    continue
                raise
            if at != first:
                logger.warning("redis: using %s, since %s cannot be reached", self._places[at].shown, self.describe())
            self._preferred = at
            return link
        assert last is not None
        raise last

    def borrowed(self, deadline: float | None = None) -> "Loan":
        """A connection for some calls, in a `with`; it is kept for the next borrower unless it failed.

        `deadline` is how many seconds it may take to have a connection and an answer.
        """
        return Loan(self, deadline)

    def lend(self, until: float) -> Link:
        """A connection that must be given back. `until` is when to give up, by the monotonic clock."""
        link = self._idle_link(until) or self.connect(until)
        left = self._left(until)
        if link.patience is None or abs(link.patience - left) > _STEP_S:
            link.set_patience(left)
        return link

    def _left(self, until: float) -> float:
        """Seconds that an answer may take."""
        return max(_LEAST_S, min(self._options.socket_timeout, until - time.monotonic()))

    def _idle_link(self, until: float) -> Link | None:
        while True:
            try:
                link = self._idle.pop()
            except IndexError:
                return None
            idle = time.monotonic() - link.used_at
            if idle < _FRESH_S:
                return link
            if link.has_ended():
                link.close()
                continue
            if idle < self._options.health_check_interval:
                return link
            try:
                link.set_patience(self._left(until))
                link.call(b"PING")
            except LinkLost:
                self.close()
                continue
            return link

    def take_back(self, link: Link) -> None:
        """Keep it for the next borrower, or close it where enough are kept."""
        if len(self._idle) < max(1, self._options.max_connections) and os.getpid() == self._pid:
            self._idle.append(link)
        else:
            link.close()

    def _open(self, place: Location, until: float) -> Link:
        where = f"{self._role} {place.shown}"
        speaks_tls = place.tls is not None or self._tls is not None
        with in_words_of_the_broker(where, speaks_tls=speaks_tls):
            link = Link(self._dial(place, until), where)
        if until != math.inf:
            link.set_patience(self._options.socket_timeout)
        return link

    def _dial(self, place: Location, until: float) -> socket.socket:
        chosen: dict[str, Any] = {
            "socket_timeout": self._options.socket_timeout,
            "socket_connect_timeout": CONNECT_TIMEOUT_S,
            **self._options.connection,
            **place.login,
        }
        if until != math.inf:
            for name in ("socket_timeout", "socket_connect_timeout"):
                chosen[name] = min(chosen[name] or math.inf, max(_LEAST_S, until - time.monotonic()))
        if place.kind == "socket":
            return dial(place.path, chosen, db=place.db)
        tls = self._tls if place.tls is None else {**place.tls, **(self._tls or {})}
        if tls is not None and not tls:
            # As Celery does; whoever wants the certificate checked says so.
            tls = {"ssl_cert_reqs": "none"}
            self._warn_of_tls(place)
        address = self._master(place, chosen) if place.kind == "sentinel" else place.hosts[0]
        return dial(address, chosen, tls, place.db)

    def _master(self, place: Location, chosen: Mapping[str, Any]) -> tuple[str, int]:
        asking = {name: chosen[name] for name in ("socket_timeout", "socket_connect_timeout")}
        asking |= self._options.sentinel_kwargs
        return find_master(place.hosts, self._options.master_name, asking, self._options.min_other_sentinels)

    def _warn_of_tls(self, place: Location) -> None:
        if place.shown not in _warned:
            _warned.add(place.shown)
            logger.warning(
                "redis: the certificate of %s is not checked; say ssl_cert_reqs=required and ssl_ca_certs to check it",
                place.shown,
            )

    # The end

    def after_fork(self) -> None:
        """In a child: what was open is the parent's."""
        _inherited.extend(self._idle)
        self._idle = []
        self._pid = os.getpid()
        self._changing = threading.Lock()

    def close(self) -> None:
        """Closes what nobody has borrowed; it may be used again all the same."""
        with self._changing:
            idle, self._idle = self._idle, []
        for link in idle:
            link.close()


class Loan:
    """A borrowed connection. A class, since a generator would cost `delay()` more than packing its message."""

    __slots__ = ("_link", "_server", "_until")

    def __init__(self, server: Server, deadline: float | None) -> None:
        self._server = server
        self._until = math.inf if deadline is None else time.monotonic() + deadline

    def __enter__(self) -> Link:
        self._link = self._server.lend(self._until)
        return self._link

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None or issubclass(kind, Refused):
            self._server.take_back(self._link)
            return
        self._link.close()  # its answer may still come, and would be taken for another's
        if issubclass(kind, LinkLost):
            self._server.close()  # those that nobody uses have most likely ended with it


_warned: set[str] = set()
