"""Hear what others announce: PUB/SUB for broadcasts and events, a list of one's own for replies.

A connection that fails is made again by the next `receive`; what was announced meanwhile is gone, as with Kombu.
"""

import select
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from celery_rs._core import topic_matches
from celery_rs.errors import OperationalError
from celery_rs.transports.redis.bell import Bell
from celery_rs.transports.redis.errors import Refused, lost
from celery_rs.transports.redis.keys import Keys, escaped
from celery_rs.transports.redis.link import Link
from celery_rs.transports.redis.server import Server

PING_S = 25.0
"""After so long a silence a connection is asked whether it lives; after as long again it is dead."""
_HEARD_MOST = 1000


class Broadcasts:
    """See `transports.base.Subscription`: PSUBSCRIBE on an exchange that is not direct."""

    def __init__(self, server: Server, keys: Keys, exchange: str, pattern: str) -> None:
        self._server = server
        self._pattern = pattern
        self._channel = keys.channel(exchange, "")
        # Kombu writes `#` as `*`; what that takes in too much is left out when it has come.
        itself = escaped(self._channel.encode()).decode()
        below = f"{itself}/{pattern.replace('#', '*')}"
        self._patterns = [below] if pattern not in ("#", "") else [itself, below]
        if pattern.endswith(".#"):
            self._patterns.append(below.removesuffix(".*"))
        self._asked_at: float | None = None
        self._closed = False
        self._link: Link | None = self._subscribed()
        self._bell = Bell()

    def fileno(self) -> int:
        """Readable when something may have come. Raises OperationalError."""
        return self._living().fileno()

    def receive(self, timeout: float) -> Sequence[bytes]:
        deadline = time.monotonic() + timeout
        heard: list[bytes] = []
        link = self._living()
        try:
            while True:
                heard += self._read(link)
                left = deadline - time.monotonic()
                readable, rung = _waited(link, self._bell, 0.0 if heard else min(left, PING_S))
                if not readable and (heard or rung or left <= 0):
                    return heard
                if readable:
                    heard += self._take(link.read())
                else:
                    self._ask(link)
        except OperationalError:
            self._link = None
            if heard:
                return heard
            raise

    def wake(self) -> None:
        self._bell.ring()

    def is_lost(self) -> bool:
        return self._link is None

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            if self._link is not None:
                self._link.close()
            self._bell.close()

    def _living(self) -> Link:
        if self._link is None:
            self._link = self._subscribed()
        return self._link

    def _subscribed(self) -> Link:
        link = self._server.connect()
        link.post(b"PSUBSCRIBE", *self._patterns)
        try:
            for _ in self._patterns:
                link.answer()
        except Refused:
            link.close()
            raise
        self._asked_at = None
        return link

    def _read(self, link: Link) -> list[bytes]:
        """What has come already."""
        found: list[bytes] = []
        while len(found) < _HEARD_MOST and (reply := link.waiting()) is not False:
            found += self._take(reply)
        return found

    def _take(self, reply: Any) -> list[bytes]:
        self._asked_at = None
        if not isinstance(reply, list) or reply[0] != b"pmessage":
            return []
        channel = reply[2].decode(errors="replace")
        key = channel.removeprefix(self._channel).removeprefix("/")
        return [reply[3]] if not self._pattern or topic_matches(self._pattern, key) else []

    def _ask(self, link: Link) -> None:
        """A connection that is only listened to must be asked whether it is still there."""
        now = time.monotonic()
        if self._asked_at is None:
            if link.silent_for() >= PING_S:
                link.post(b"PING")
                self._asked_at = now
        elif now - self._asked_at > PING_S:
            link.close()
            raise lost(self._server.words(), TimeoutError())


class Replies:
    """See `transports.base.Subscription`: a list bound to a direct exchange, gone with the subscription."""

    def __init__(self, server: Server, keys: Keys, exchange: str, routing_key: str, queue: str) -> None:
        self._server = server
        self._list = keys.queue(queue)
        self._binding = keys.binding(exchange)
        self._member = keys.bound(routing_key, "", queue)
        self._link: Link | None = None
        self._waits = False
        self._closed = False
        self._bound = bool(exchange)
        """The default exchange knows its queues without being told."""
        with server.borrowed() as link:
            if self._bound:
                link.call(b"SADD", self._binding, self._member)
        self._bell = Bell()

    def receive(self, timeout: float) -> Sequence[bytes]:
        deadline = time.monotonic() + timeout
        try:
            if self._link is None:
                self._link, self._waits = self._server.connect(), False
            link = self._link
            while True:
                left = deadline - time.monotonic()
                if not self._waits and left <= 0:
                    return list(link.call(b"RPOP", self._list, _HEARD_MOST) or ())
                if not self._waits:
                    link.post(b"BRPOP", self._list, max(0.05, min(left, PING_S)))
                    self._waits = True
                readable, rung = _waited(link, self._bell, left)
                if readable:
                    self._waits = False
                    popped = link.answer()
                    if popped is not None:
                        return [popped[1], *(link.call(b"RPOP", self._list, _HEARD_MOST) or ())]
                elif rung or left <= 0:
                    return []
        except OperationalError:
            self._link = None
            raise

    def wake(self) -> None:
        self._bell.ring()

    def is_lost(self) -> bool:
        """A list keeps what comes for who has lost the connection."""
        return False

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._link is not None:
            self._link.close()
        self._bell.close()
        with suppress(OperationalError), self._server.borrowed() as link:
            if self._bound:
                link.call(b"SREM", self._binding, self._member)
            link.call(b"DEL", self._list)


def _waited(link: Link, bell: Bell, seconds: float) -> tuple[bool, bool]:
    """Whether something has come, and whether somebody has rung."""
    poll = select.poll()
    poll.register(link, select.POLLIN)
    poll.register(bell, select.POLLIN)
    ready = {ready for ready, _ in poll.poll(max(0.0, seconds) * 1000)}
    rung = bell.fileno() in ready
    if rung:
        bell.silence()
    return link.fileno() in ready, rung
