"""Hear of results: one subscription per process and store, which all who wait share.

It has no thread: one of those who wait reads for all of them (`turns.py`). Each id is subscribed to and then asked for,
on one connection and in that order, so that nothing is missed; once a second all that is awaited is asked for again, so
that a lost notification costs a second. A connection that fails in mid-wait is made again.
"""

import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from typing import Any

from hiredis import PushNotification

from celery_rs.backends.turns import Turns, Waiter
from celery_rs.errors import OperationalError
from celery_rs.transports.redis import Command, Link, LinkLost, Refused, Server, packed

_MUTE_LOOK_S = 0.1
LOOK_S = 1.0
SILENT_S = 10.0
"""A connection that leaves a question unanswered for so long is dead."""
_MOST_BROKEN = 5
_AT_ONCE = 1000
_MANY = 10_000
_STALE_MOST = 64
"""So many subscriptions may outlive who waited."""

News = tuple[bytes, bytes]
"""Key and record."""

_inherited: list[Link] = []
"""Connections of a parent: kept, so that nobody closes them here."""


class Wait(Waiter[News]):
    """What one caller waits for. Made by `Ear.join`."""

    def __init__(self, keys: Collection[bytes]) -> None:
        super().__init__()
        self.keys = keys
        self.looked = False
        """Whether what there was at the start has been told."""


class Ear:
    """Any thread. `is_ready` says of a record whether its task has ended; `pauses` are those between reconnects."""

    def __init__(self, server: Server, is_ready: Callable[[bytes], bool], pauses: Sequence[float]) -> None:
        self._server = server
        self._is_ready = is_ready
        self._pauses = pauses
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._waits: dict[bytes, list[Wait]] = {}
        self._stale: set[bytes] = set()
        """Subscribed to, and awaited no more."""
        self._turns: Turns[News] = Turns(self._lock)
        self._link: Link | None = None
        self._poll = select.poll()
        self._asked: deque[tuple[Wait | None, Sequence[bytes]]] = deque()
        """Questions without an answer yet: on whose behalf, for which keys."""
        self._heard_at = 0.0
        self._look_at = 0.0
        self._broken = 0
        """Connections that broke since one was last heard of."""
        self._pushes = True
        """Whether the server tells of itself; one that cannot is only asked, and more often."""
        self._patient = False
        """Whether the connection has worked for those who wait now: then it is worth making again."""

    # Coming and going

    def join(self, keys: Collection[bytes]) -> Wait:
        if os.getpid() != self._pid:
            self.after_fork()
        wait = Wait(keys)
        with self._lock:
            if not self._waits:
                self._patient = False
                self._look_at = time.monotonic() + self._look_s
            fresh = [key for key in keys if key not in self._waits]
            for key in keys:
                self._waits.setdefault(key, []).append(wait)
            if self._link is not None:
                self._ask(self._link, fresh, keys, wait)
        return wait

    def leave(self, wait: Wait) -> None:
        """Harmless when repeated, and for what has been told."""
        with self._lock:
            for key in wait.keys:
                waits = self._waits.get(key)
                if waits is not None and wait in waits:
                    waits.remove(wait)
                    if not waits:
                        del self._waits[key]
                        self._stale.add(key)
            if len(self._stale) > _STALE_MOST and self._link is not None:
                self._link.try_send(packed(self._no_longer()))

    # Waiting

    def hear(self, wait: Wait, deadline: float | None) -> list[News]:
        """The next records, waiting for the first; none at the deadline. Raises OperationalError."""
        try:
            while not (news := wait.take()):
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    return []
                if self._turns.reads(wait):
                    self._read_for_all(wait, deadline)
                else:
                    wait.stand(left)
            return news
        finally:
            self._turns.hand_on(wait)

    def _read_for_all(self, wait: Wait, deadline: float | None) -> None:
        """Until there is news for this wait, or its deadline comes."""
        while wait.news.empty():
            now = time.monotonic()
            if deadline is not None and now >= deadline:
                return
            try:
                link = self._link
                if link is None:
                    link = self._connected(deadline)
                    if link is None:
                        return
                until = self._look_at if deadline is None else min(self._look_at, deadline)
                if self._poll.poll(max(0.0, until - now) * 1000):
                    with self._lock:
                        self._tell_all(link.arrived())
                if time.monotonic() >= self._look_at:
                    with self._lock:
                        self._look(link)
            except LinkLost as error:
                self._drop()
                self._broken += 1
                if self._broken > _MOST_BROKEN:
                    self._tell_of(error)
            except OperationalError as error:
                self._drop()
                self._tell_of(error)
            except BaseException:
                self._drop()  # nobody knows what has been read of it
                raise

    # The connection; the reader's alone

    def _connected(self, deadline: float | None) -> Link | None:
        """None at the deadline. Raises OperationalError when it is no use."""
        pauses = list(self._pauses) if self._patient else []
        while True:
            try:
                return self._open()
            except OperationalError as error:
                if not pauses:
                    self._tell_of(error)
                    return None
            pause = pauses.pop(0)
            left = pause if deadline is None else deadline - time.monotonic()
            if left <= 0:
                return None
            time.sleep(min(pause, left))

    def _open(self) -> Link:
        link = self._server.connect()
        try:
            pushes = self._greet(link)
        except BaseException:
            link.close()
            raise
        with self._lock:
            self._pushes = pushes
            self._asked.clear()
            self._stale.clear()
            self._link = link
            self._poll = select.poll()
            self._poll.register(link.fileno(), select.POLLIN)
            awaited = list(self._waits)
            self._heard_at = time.monotonic()
            self._look_at = self._heard_at + self._look_s
            self._ask(link, awaited, awaited, None)
        return link

    @staticmethod
    def _greet(link: Link) -> bool:
        """Whether it tells of records by itself. Raises OperationalError when it is no use."""
        try:
            link.call(b"HELLO", b"3")
            pushes = True
        except Refused:  # an old proxy, or a user who may not
            pushes = False
        link.call(b"PING")  # refused by a store that loads its data, which takes subscriptions already
        return pushes

    @property
    def _look_s(self) -> float:
        return LOOK_S if self._pushes else _MUTE_LOOK_S

    def _drop(self) -> None:
        with self._lock:
            link, self._link = self._link, None
        if link is not None:
            link.close()

    # Asking and telling; under the lock

    def _ask(self, link: Link, fresh: Sequence[bytes], keys: Collection[bytes], wait: Wait | None) -> None:
        self._stale.difference_update(fresh)
        commands = [*self._no_longer(), *_chunks(b"SUBSCRIBE", fresh)] if self._pushes else []
        for question in _chunks(b"MGET", list(keys)):
            commands.append(question)
            self._asked.append((wait, question[1:]))  # type: ignore[arg-type]  # nothing but keys
        link.try_send(packed(commands))

    def _no_longer(self) -> list[Command]:
        """The end of subscriptions; sent with the next question, since a packet of its own would wake the server."""
        stale = list(self._stale) if self._pushes else []
        self._stale.clear()
        return _chunks(b"UNSUBSCRIBE", stale)

    def _look(self, link: Link) -> None:
        """Ask again for all that is awaited."""
        now = time.monotonic()
        if self._asked:
            if now - self._heard_at > SILENT_S:
                raise link.lost(TimeoutError())
        else:
            self._heard_at = now
            self._ask(link, (), list(self._waits), None)
        self._look_at = now + self._look_s * max(1.0, len(self._waits) / _MANY)

    def _tell_all(self, replies: Sequence[Any]) -> None:
        self._heard_at = time.monotonic()
        self._broken = 0
        for reply in replies:
            if isinstance(reply, PushNotification):
                if reply[0] == b"message":
                    self._tell(reply[1], reply[2])
                continue
            self._patient = True
            wait, keys = self._asked.popleft()
            for key, record in zip(keys, reply, strict=True):
                if record is not None:
                    self._tell(key, record)
            if wait is not None:
                wait.looked = True

    def _tell(self, key: bytes, record: bytes) -> None:
        if key in self._waits and self._is_ready(record):
            self._stale.add(key)
            for wait in self._waits.pop(key):
                wait.news.put((key, record))

    def _tell_of(self, error: OperationalError) -> None:
        """Nobody who waits now will hear anything."""
        with self._lock:
            waits = {wait: None for waiting in self._waits.values() for wait in waiting}
        for wait in waits:
            wait.news.put(error)

    # The end

    def after_fork(self) -> None:
        """In a child: the connection is the parent's, and so are those who wait."""
        if self._link is not None:
            _inherited.append(self._link)
        self._begin()

    def close(self) -> None:
        """Who still waits connects anew."""
        with self._lock:
            link = self._link
            if link is not None and self._turns.reader is not None:
                link.shut()  # it is the reader's to close
                return
            self._link = None
        if link is not None:
            link.close()


def _chunks(name: bytes, keys: Sequence[bytes]) -> list[Command]:
    return [(name, *keys[start : start + _AT_ONCE]) for start in range(0, len(keys), _AT_ONCE)]
