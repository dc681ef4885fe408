"""Wait until a message may be there, without asking again and again.

The lists that most messages go to are waited for in BLMOVE, a connection for each: the message moves into a list of
this consumer's own, so one consumer wakes and nothing is ever in memory only; a stock worker waiting beside us gets
its fair share. All other lists are watched by one connection that the server tells of changes (client-side caching);
where it cannot, they are looked at once a second, as is everything else, in case a wake-up got lost.
"""

import select
import time
from collections.abc import Sequence, Set

from hiredis import PushNotification, ReplyError

from celery_rs.transports.redis.bell import Bell
from celery_rs.transports.redis.errors import LinkLost, Refused
from celery_rs.transports.redis.keys import Keys
from celery_rs.transports.redis.link import Link
from celery_rs.transports.redis.server import Server

LOOK_S = 1.0
"""The longest wait without a look."""
ARMED_MOST = 8
"""For so many queues a connection of their own."""
DEAD_S = 5.0
"""A connection whose BLMOVE has not answered so long after its end is dead; one that only tells is asked so often."""


class Waiting:
    """Belongs to the thread that receives; only `ring` may be called from others."""

    def __init__(self, server: Server, keys: Keys, consumer: str, block_s: float) -> None:
        """`block_s` is how long one BLMOVE waits: it must end before others may take this consumer for dead.

        What the server moved to us later than that, nobody would find.
        """
        self._server = server
        self._keys = keys
        self._consumer = consumer
        self._armed: dict[str, tuple[Link, int]] = {}
        """Queue → the connection that waits for it, and the server's number for that."""
        self._spare: list[tuple[Link, int]] = []
        self._abandoned: list[tuple[str, int]] = []
        """Queue and number of connections that were given up, of which the server may not know that yet."""
        self._block_s = block_s
        self._refused_at = float("-inf")
        self._watching: Link | None = None
        self._watched: Set[bytes] = frozenset()
        """Lists that were empty, and of which the server will tell: it does so once, and has not yet."""
        self._cannot_watch = False
        self._cannot_arm = False
        self._bell = Bell()

    def list_of(self, queue: str) -> bytes:
        """Where what came for a queue while we waited lies until it is moved to a record."""
        return self._keys.wait_of + f"{self._consumer}.{queue}".encode()

    def ring(self) -> None:
        """End a wait, or the next one. Any thread."""
        self._bell.ring()

    def wait(self, queues: Sequence[str], seconds: float, also: Sequence[int]) -> bool:
        """Until something may have come, a ring (then True), or a second has passed. `also` are files to wait for.

        Raises OperationalError.
        """
        poll = select.poll()
        poll.register(self._bell, select.POLLIN)
        for file in also:
            poll.register(file, select.POLLIN)
        armed: Sequence[str] = ()
        if not self._cannot_arm and time.monotonic() - self._refused_at > LOOK_S:
            # Those that are waited for already: the order of queues changes with every look.
            armed = sorted(queues, key=lambda queue: queue not in self._armed)[:ARMED_MOST]
        by_file = self._arm_all(armed)
        armed = list(by_file.values())
        for file in by_file:
            poll.register(file, select.POLLIN)
        watching = self._watch(queues, armed)
        if watching is not None:
            if watching < 0:
                return False
            poll.register(watching, select.POLLIN)
        readable = {file for file, _ in poll.poll(max(0.0, min(seconds, LOOK_S)) * 1000)}
        for file, queue in by_file.items():
            if file in readable:
                self._read(queue)
        if watching in readable and self._watching is not None:
            self._hear(self._watching)
        rung = self._bell.fileno() in readable
        if rung:
            self._bell.silence()
        return rung

    def disarm(self) -> None:
        """Have nothing moved to us any more; what comes at this very moment goes back. Raises OperationalError."""
        abandoned = self._abandoned
        numbers = [number for _, number in (*self._armed.values(), *abandoned)]
        if not numbers:
            return
        try:
            with self._server.borrowed() as link:
                link.pipeline([(b"CLIENT", b"UNBLOCK", number) for number in numbers])
        except Refused:
            self._arm_no_more()
        self._abandoned = []
        came = [queue for queue in list(self._armed) if self._read(queue)]
        self.empty([*came, *(queue for queue, _ in abandoned)])

    def empty(self, queues: Sequence[str]) -> None:
        """Return what came while we waited for them: who is busy looks at it late. Raises OperationalError."""
        moves = [(b"LMOVE", self.list_of(queue), self._keys.queue(queue), b"LEFT", b"RIGHT") for queue in queues]
        while moves:
            with self._server.borrowed() as link:
                moved = link.pipeline(moves)
            moves = [move for move, message in zip(moves, moved, strict=True) if message is not None]

    def close(self) -> None:
        """Ends the connections; who waits in them is forgotten by the server, as soon as it learns of that."""
        for queue, armed in self._armed.items():
            self._give_up(queue, armed)
        for link, _ in self._spare:
            link.close()
        if self._watching is not None:
            self._watching.close()
        self._armed, self._spare, self._watching = {}, [], None

    def end(self) -> None:
        """Close for good."""
        self.close()
        self._bell.close()

    def _arm_all(self, queues: Sequence[str]) -> dict[int, str]:
        """Files to wait for, and their queues; none for a user who may not do that: a look once a second is left."""
        try:
            return {self._arm(queue).fileno(): queue for queue in queues}
        except Refused:
            self._arm_no_more()
            return {}

    def _arm_no_more(self) -> None:
        self._cannot_arm = True
        self.close()

    def _arm(self, queue: str) -> Link:
        armed = self._armed.get(queue)
        if armed is None:
            armed = self._spare.pop() if self._spare else self._connect()
            command = (b"BLMOVE", self._keys.queue(queue), self.list_of(queue), b"RIGHT", b"LEFT", self._block_s)
            try:
                armed[0].post(*command)
            except LinkLost:
                armed = self._connect()
                armed[0].post(*command)
            self._armed[queue] = armed
        elif armed[0].silent_for() > self._block_s + DEAD_S:
            self._give_up(queue, self._armed.pop(queue))
            return self._arm(queue)
        return armed[0]

    def _connect(self) -> tuple[Link, int]:
        link = self._server.connect()
        try:
            return link, link.call(b"CLIENT", b"ID")
        except Refused:
            link.close()
            raise

    def _read(self, queue: str) -> bool:
        """Whether a message may have come."""
        armed = self._armed.pop(queue)
        try:
            said = armed[0].read()
        except LinkLost:
            self._give_up(queue, armed)
            return True
        self._spare.append(armed)
        if isinstance(said, ReplyError):
            self._refused_at = time.monotonic()  # it is full: it would answer the same at once
            return False
        return said is not None

    def _give_up(self, queue: str, armed: tuple[Link, int]) -> None:
        link, number = armed
        link.close()
        self._abandoned.append((queue, number))

    def _watch(self, queues: Sequence[str], armed: Sequence[str]) -> int | None:
        """The file to wait for until the other lists change; −1 when one of them is not empty, None without any."""
        lists = {key for queue in queues for key in self._keys.steps(queue)[1 if queue in armed else 0 :]}
        if not lists or self._cannot_watch:
            return None
        try:
            link = self._watching
            if link is None:
                link = self._watching = self._server.connect()
                self._watched = frozenset()
                link.call(b"HELLO", 3)
                link.call(b"CLIENT", b"TRACKING", b"ON")
            if lists != self._watched or link.silent_for() > DEAD_S:
                link.post(b"EXISTS", *lists)
                if self._hear(link, answered=True) or link.waiting() is not False:
                    return -1
                self._watched = lists
            return link.fileno()
        except Refused:
            self._cannot_watch = True
            if self._watching is not None:
                self._watching.close()
                self._watching = None
        except LinkLost:
            self._watching = None
        return None

    def _hear(self, link: Link, *, answered: bool = False) -> bool:
        """Read what the server tells; with `answered` up to the answer, whether any list has something."""
        self._watched = frozenset()
        try:
            while isinstance(said := link.answer(), PushNotification):
                if not answered:
                    return True
        except LinkLost:
            self._watching = None
            raise
        return bool(said)
