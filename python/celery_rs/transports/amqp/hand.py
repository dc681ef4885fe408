"""What a consumer has in hand: messages of its connection, and what it must remember of the one before.

Delivery tags count from 1 on each new channel: a tag of ours names its epoch, and one of an older epoch is never acted
upon. What had begun when a connection was lost runs on. It is away until its copy is back, and nobody else has it.
"""

import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence

from pika import frame, spec

from celery_rs._core import open_amqp
from celery_rs.transports.amqp import topology
from celery_rs.transports.amqp.errors import LinkLost
from celery_rs.transports.amqp.held import Ack, Outstanding
from celery_rs.transports.amqp.link import Channel
from celery_rs.transports.amqp.past import Past, past_of
from celery_rs.transports.amqp.session import Session
from celery_rs.transports.base import Delivery, Tag

RETURNS = 2
"""What a quorum queue has taken back so often is published again, since it drops what comes back too often."""
_REMEMBERED = 10_000


class Held:
    """A message in hand. `number` is its delivery tag on the channel of work; None if it came by a queue of our own.

    Once it has begun, its copies are what is acknowledged: delivery tags on the channel of our own queues.
    """

    __slots__ = ("begun", "body", "copied_at", "copies", "late", "number", "past", "redelivered")

    def __init__(self, number: int | None, past: Past, body: bytes, *, redelivered: bool) -> None:
        self.number = number
        self.past = past
        self.body = body
        self.redelivered = redelivered or past.redelivered or past.crashes > 0
        self.begun = number is None
        self.late = past.late
        self.copies: Sequence[int] = ()
        self.copied_at = math.inf

    @property
    def is_worn(self) -> bool:
        """Its queue might drop it if it came back once more."""
        return self.past.returns >= RETURNS

    @property
    def may_be_nacked(self) -> bool:
        """Whether the broker can take it back as it is."""
        return self.number is not None and not self.begun and not self.is_worn


class Hand:
    """Any thread; `lock` guards all of it, and the acknowledging of what it holds."""

    def __init__(self, name: str) -> None:
        """`name` is the consumer's: its tags begin with it."""
        self.lock = threading.Lock()
        self.session: Session | None = None
        """The connection that everything here came by."""
        self.held: dict[Tag, Held] = {}
        self._name = name
        self._work = Outstanding()
        self._own = Outstanding()
        self._finished: OrderedDict[Tag, None] = OrderedDict()
        self._lost: list[Tag] = []
        self._away: set[Tag] = set()
        """Begun, and its copy is not back yet since the connection was lost: nobody else has it, for all we know."""
        self._back_by = math.inf
        """The monotonic time until which that is believed."""
        self._given_up: dict[Tag, None] = {}
        """What has ended here and was not back in time."""
        self._orphans: deque[Delivery] = deque()
        self._adopted: deque[Delivery] = deque()

    def __len__(self) -> int:
        """How many messages of others' queues are not settled."""
        return len(self._work)

    def queues_with(self, number: int) -> set[str]:
        """The queues of which so many messages are not settled, or more."""
        with self.lock:
            return self._work.queues_with(number)

    @property
    def has_news(self) -> bool:
        """Whether something is lost or adopted that nobody has been told of."""
        return bool(self._lost or self._adopted)

    @property
    def has_away(self) -> bool:
        """Whether anything that runs here is waited for."""
        return bool(self._away)

    # Connections

    def hold_on(self, session: Session, back_by: float) -> None:
        """What comes by this connection is ours; until `back_by`, so is what has begun and is not back yet."""
        with self.lock:
            self.session = session
            self._back_by = back_by

    def let_go(self, session: Session) -> bool:
        """The broker takes everything back; what has begun runs on, and its copy comes again. Whether it was ours."""
        with self.lock:
            if self.session is not session:
                return False
            self.session = None
            untold = {delivery.tag for delivery in (*self._orphans, *self._adopted)}
            begun = {
                tag
                for tag, held in self.held.items()
                if held.begun and (held.number is not None or held.past.tag == tag)
            }
            self._away |= begun
            self._back_by = math.inf
            self._lost += [tag for tag in self.held if tag not in begun | untold]
            self.held = {}
            self._work.clear()
            self._own.clear()
            self._orphans.clear()
            self._adopted.clear()
            return True

    def forget(self) -> None:
        """Nobody asks any more."""
        self._lost = []
        self._away = set()

    # Taking

    def take(self, session: Session, limit: int) -> list[tuple[Tag, Held]]:
        """What has come; each is ours from here on. Nothing, if another thread has found the connection lost."""
        taken: list[tuple[Tag, Held]] = []
        with self.lock:
            if self.session is not session:
                return taken
            before, arrived, work = f"{self._name}.{session.epoch}.", session.arrived, self._work
            for _ in range(min(limit, len(arrived))):
                queue, (_, _, _, number, redelivered, exchange, routing_key, properties, body) = arrived.popleft()
                past = past_of(queue, exchange, routing_key, properties)
                taken.append((f"{before}{number}", Held(number, past, body, redelivered=redelivered)))
                work.add(number, queue)
            self.held.update(taken)
        return taken

    def take_adopted(self) -> list[Delivery]:
        """Begun work of ours under tags of now."""
        with self.lock:
            return [self._adopted.popleft() for _ in range(len(self._adopted))]

    def take_orphans(self) -> list[Delivery]:
        """Begun work of the dead."""
        with self.lock:
            return [self._orphans.popleft() for _ in range(len(self._orphans))]

    def take_lost(self) -> list[Tag]:
        """Tags that are no longer ours, each told once."""
        with self.lock:
            lost, self._lost = self._lost, []
        return lost

    def hear(self, session: Session | None) -> None:
        """What has come by our own queues, if it came by the connection of now."""
        with self.lock:
            if session is not None and session is self.session:
                self.hear_own(session)

    def hear_own(self, session: Session) -> None:
        """Copies find their messages; what had begun before the connection was lost is back, under the tag it had.

        Called with the lock.
        """
        while session.own_arrived:
            queue, item = session.own_arrived.popleft()
            number = item[3]
            past = past_of(queue, item[5], item[6], item[7])
            self._own.add(number, queue)
            held = Held(None, past, item[8], redelivered=True)
            held.copies = [number]
            held.copied_at = time.monotonic()
            if queue == topology.ORPHANS or past.tag is None:
                self._orphans.append(self._renamed(session, held))
            elif (known := self.held.get(past.tag)) is not None:
                known.copies = [*known.copies, number]
            elif past.tag in self._finished:
                self.acknowledge_own(session, [number])
            elif past.tag in self._away:
                self._away.discard(past.tag)
                held.copied_at = -math.inf  # the time that others leave it to us is used up
                self.held[past.tag] = held
            elif past.tag in self._given_up and not past.late:
                self._orphans.append(self._renamed(session, held))
            else:
                self._adopted.append(self._renamed(session, held))

    def _renamed(self, session: Session, held: Held) -> Delivery:
        """Under a tag of now."""
        tag = f"{self._name}.{session.epoch}.o{held.copies[0]}"
        self.held[tag] = held
        (delivery,) = opened([(tag, held)])
        return delivery

    # Holding

    def ours(self, tags: Iterable[Tag]) -> tuple[Session | None, dict[Tag, Held]]:
        """Those of these that are held, and the connection that they came by."""
        with self.lock:
            return self.session, {tag: held for tag in tags if (held := self.held.get(tag)) is not None}

    def gone(self, tags: Iterable[Tag]) -> list[Tag]:
        """Those that are neither held nor waited for."""
        with self.lock:
            return [tag for tag in tags if tag not in self.held and tag not in self._away]

    def await_return(self, tags: Iterable[Tag], words: Callable[[], str]) -> None:
        """Whether what has begun is still ours is not known before its copy is back.

        Raises LinkLost, `words` being what the broker is called: to say so takes longer than all the rest.
        """
        if self._away.isdisjoint(tags):
            return
        session = self.session
        if session is not None:
            session.link.pump()
        self.hear(session)
        with self.lock:
            away = self._away.intersection(tags)
            if away and time.monotonic() < self._back_by:
                raise LinkLost(
                    f"{words()}: lost the connection over {len(away)} message(s) that had begun; "
                    "waiting for it to return them"
                )
            self._away -= away
            self._given_up |= dict.fromkeys(away)
            while len(self._given_up) > _REMEMBERED:
                del self._given_up[next(iter(self._given_up))]

    # Acknowledging

    def settle(self, session: Session, tags: Iterable[Tag]) -> set[Tag]:
        """Acknowledge these, if the connection they came by still lives; which it was true of."""
        with self.lock:
            if self.session is not session:
                return set()
            settled: set[Tag] = set()
            work: list[int] = []
            own: list[int] = []
            for tag in tags:
                held = self.held.pop(tag, None)
                if held is None:
                    continue
                settled.add(tag)
                if not held.begun:
                    assert held.number is not None  # what came by a queue of our own has begun
                    work.append(held.number)
                    continue
                own.extend(held.copies)
                self.remember_finished(tag)
                if held.past.tag is not None:
                    self.remember_finished(held.past.tag)
            try:
                self.acknowledge_work(session, work)
                self.acknowledge_own(session, own)
            except LinkLost:
                pass  # they come again: as any message whose end the broker has not heard of
            return settled

    def nack(self, session: Session, nacked: Mapping[Tag, Held]) -> None:
        """Have the broker take these back as they are."""
        with self.lock:
            if self.session is not session:
                return
            data = []
            for tag, held in nacked.items():
                if self.held.pop(tag, None) is None:
                    continue
                assert held.number is not None
                self._work.settle([held.number])
                nack = spec.Basic.Nack(held.number, multiple=False, requeue=True)
                data.append(frame.Method(session.work.number, nack).marshal())
            session.link.send(b"".join(data))

    def remember_finished(self, tag: Tag) -> None:
        """A copy of it that comes later is not needed. Called with the lock."""
        self._finished[tag] = None
        if len(self._finished) > _REMEMBERED:
            self._finished.popitem(last=False)

    def acknowledge_work(self, session: Session, numbers: Iterable[int]) -> None:
        """Called with the lock. Raises LinkLost."""
        _send(session.work, self._work.settle(numbers))

    def acknowledge_own(self, session: Session, numbers: Iterable[int]) -> None:
        """The same for copies."""
        _send(session.own, self._own.settle(numbers))

    @property
    def holds_copies(self) -> bool:
        """Whether copies of begun work are not settled."""
        return bool(len(self._own))


def opened(taken: Sequence[tuple[Tag, Held]]) -> list[Delivery]:
    """What was taken, as the worker sees it."""
    contents = []
    for _, held in taken:
        past = held.past
        contents.append((past.exchange, past.routing_key, held.redelivered, past.properties, held.body))
    deliveries = []
    for (tag, held), envelope in zip(taken, open_amqp(contents), strict=True):
        past = held.past
        deliveries.append(Delivery(tag, past.queue, envelope, held.redelivered, past.crashes, past.deliveries + 1))
    return deliveries


def _send(channel: Channel, acks: Sequence[Ack]) -> None:
    if acks:
        channel.link.send(b"".join([_ack(channel.number, ack) for ack in acks]))


def _ack(channel: int, ack: Ack) -> bytes:
    """Basic.Ack, as frames go."""
    return (
        b"\x01"
        + channel.to_bytes(2, "big")
        + b"\x00\x00\x00\x0d\x00\x3c\x00\x50"
        + (ack.delivery_tag.to_bytes(8, "big") + (b"\x01" if ack.multiple else b"\x00") + b"\xce")
    )
