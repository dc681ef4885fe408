"""A consumer of a RabbitMQ.

The broker notices the end of a connection and takes back what was not acknowledged, so a lease is the connection.
Delivery tags count from 1 on each new channel: a tag of ours names its epoch, and one of an older epoch is never
acted upon.
"""

import math
import os
import secrets
import threading
import time
import uuid
from collections import OrderedDict, deque
from collections.abc import Collection, Iterable, Mapping, Sequence

from pika import frame, spec

from celery_rs._core import amqp_changed, amqp_content, open_amqp
from celery_rs.errors import NotSupported, OperationalError
from celery_rs.transports.amqp import native_delay, topology
from celery_rs.transports.amqp import past as pasts
from celery_rs.transports.amqp.begun import OwnQueues, again, copy_of
from celery_rs.transports.amqp.errors import LinkLost
from celery_rs.transports.amqp.facts import AmqpFacts
from celery_rs.transports.amqp.held import Ack, Outstanding
from celery_rs.transports.amqp.link import Channel
from celery_rs.transports.amqp.outgoing import Sender
from celery_rs.transports.amqp.past import Past, past_of
from celery_rs.transports.amqp.publisher import CHANNEL, FRAME_MAX
from celery_rs.transports.amqp.server import Server
from celery_rs.transports.amqp.session import FACTS_CHANNEL, Session
from celery_rs.transports.amqp.topology import Topology
from celery_rs.transports.amqp.unconfirmed import Publish
from celery_rs.transports.base import (
    Burial,
    Completion,
    Delivery,
    Received,
    Recovered,
    Route,
    Tag,
    Tags,
    Verdict,
)
from celery_rs.transports.faults import Faults

REJECTED = Burial("rejected", "the task refused its message")
_RETURNS = 2
"""What a quorum queue has taken back so often is published again, since it drops what comes back too often."""
_REFRESHED_S = 1.0
"""So long such a one is waited for."""
_WRITE_S = 10.0
_COPY_S = 1.0
"""How long the end of a task waits for the copy of its message, which the broker has confirmed."""
_UNWANTED_S = 1.0
"""What nobody has asked for so long goes back."""
_REMEMBERED = 10_000
_BACK_S = 10.0
"""So long after a connection was made anew what had begun under the last one is waited for; or half a heartbeat, since
the broker may notice later than we that the last one is dead."""


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
        self.copies: list[int] = []
        self.copied_at = time.monotonic()


class AmqpConsumer:
    """See `transports.base.Consumer`."""

    def __init__(
        self,
        server: Server,
        sender: Sender,
        known: Topology,
        facts: AmqpFacts,
        queues: Sequence[str],
        *,
        faults: Faults,
    ) -> None:
        host = os.uname().nodename.replace(".", "-")
        self.name = f"{host}-{os.getpid()}-{secrets.token_hex(3)}"
        options = server.options
        self._server = server
        self._sender = sender
        self._known = known
        self._facts = facts
        self._queues = list(dict.fromkeys(queues))
        self._own_queues = OwnQueues(self.name, pick_up_s=options.begun_ttl_s, grace_s=options.reconnect_grace_s)
        self._faults = faults
        self._receiving = threading.Lock()
        self._lock = threading.Lock()
        self._held: dict[Tag, Held] = {}
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
        self._epoch = 0
        self._version = 0
        self._rung = False
        self._closed = False
        self._session: Session | None = None
        self._session = self._connect()

    # Receiving

    def receive(self, limit: int, timeout: float) -> Received:
        self._faults.wait_while_paused()
        with self._receiving:
            if self._closed:
                return Received([], [], self._version)
            session = self._connected()
            try:
                self._await(session, limit, timeout)
                if self._faults.reply_is_lost():
                    session.link.fail(LinkLost(f"{session.link.place.words()}: the connection was lost; receive again"))
            except OperationalError:
                self._lose(session)
                raise
            return self._received(session, limit)

    def _await(self, session: Session, limit: int, timeout: float) -> None:
        with self._lock:
            in_hand = len(self._work)
        session.check()
        session.asked_at = time.monotonic()
        until = session.asked_at + timeout
        log = self._facts.log

        def something() -> bool:
            return bool(
                (session.arrived and limit)
                or session.own_arrived
                or self._lost
                or self._adopted
                or self._rung
                or self._closed
                or session.work.closed
                or session.cancelled
                or log.version != self._version
            )

        while True:
            session.want(in_hand + limit, self._queues)
            session.link.wait(something, max(0.0, until - time.monotonic()))
            session.check()
            if not session.cancelled:
                return

    def _received(self, session: Session, limit: int) -> Received:
        self._rung = False
        self._version = self._facts.log.version
        with self._lock:
            self._hear_own(session)
            adopted = [self._adopted.popleft() for _ in range(len(self._adopted))]
            taken = self._take_held(session, limit)
            lost, self._lost = self._lost, []
        while worn := [tag for tag, held in taken if held.past.returns >= _RETURNS]:
            if not self._refresh(session, worn):
                break  # a broker that takes no messages now: they are delivered as they are
            with self._lock:
                taken = [(tag, held) for tag, held in taken if tag in self._held]
                taken += self._take_held(session, limit - len(taken))  # among them may be more of the kind
        deliveries = self._opened([(tag, held) for tag, held in taken if tag in self._held])
        return Received([*adopted, *deliveries], lost, self._version)

    def _refresh(self, session: Session, worn: Tags) -> bool:
        """Publish these again instead of delivering them: should we die, too, the queue might drop them.

        Whether they were.
        """
        try:
            self.give_back(worn)
            session.link.wait(lambda: session.arrived, _REFRESHED_S)
        except OperationalError:
            return False
        return self._held.keys().isdisjoint(worn)

    def _take(self, session: Session, limit: int) -> list[Delivery]:
        return self._opened(self._take_held(session, limit))

    def _take_held(self, session: Session, limit: int) -> list[tuple[Tag, Held]]:
        """What has come; each is ours from here on."""
        taken = []
        for _ in range(min(limit, len(session.arrived))):
            queue, item = session.arrived.popleft()
            number, redelivered, body = item[3], item[4], item[8]
            held = Held(number, past_of(queue, item[5], item[6], item[7]), body, redelivered=redelivered)
            tag = f"{self.name}.{session.epoch}.{number}"
            self._work.add(number)
            self._held[tag] = held
            taken.append((tag, held))
        return taken

    @staticmethod
    def _opened(taken: Sequence[tuple[Tag, Held]]) -> list[Delivery]:
        contents = [
            (held.past.exchange, held.past.routing_key, held.redelivered, held.past.properties, held.body)
            for _, held in taken
        ]
        return [
            Delivery(
                tag,
                held.past.queue,
                envelope,
                held.redelivered,
                held.past.crashes,
                held.past.deliveries + 1,
            )
            for (tag, held), envelope in zip(taken, open_amqp(contents), strict=True)
        ]

    def _hear_own(self, session: Session) -> None:
        """Copies find their messages; what had begun before the connection was lost is back, under the tag it had."""
        while session.own_arrived:
            queue, item = session.own_arrived.popleft()
            number = item[3]
            past = past_of(queue, item[5], item[6], item[7])
            self._own.add(number)
            held = Held(None, past, item[8], redelivered=True)
            held.copies.append(number)
            if queue == topology.ORPHANS or past.tag is None:
                self._orphans.append(self._taken(session, held))
            elif (known := self._held.get(past.tag)) is not None:
                known.copies.append(number)
            elif past.tag in self._finished:
                self._acknowledge(session, session.own, self._own, [number])
            elif past.tag in self._away:
                self._away.discard(past.tag)
                held.copied_at = -math.inf  # the time that others leave it to us is used up
                self._held[past.tag] = held
            elif past.tag in self._given_up and not past.late:
                self._orphans.append(self._taken(session, held))
            else:
                self._adopted.append(self._taken(session, held))

    def _taken(self, session: Session, held: Held) -> Delivery:
        """Under a tag of now."""
        tag = f"{self.name}.{session.epoch}.o{held.copies[0]}"
        self._held[tag] = held
        (delivery,) = self._opened([(tag, held)])
        return delivery

    def wake(self) -> None:
        self._rung = True
        session = self._session
        if session is not None:
            session.link.wake()

    def listen_to(self, add: Sequence[str] = (), drop: Sequence[str] = ()) -> None:
        with self._receiving:
            session = self._connected()
            try:
                session.check()
                session.unsubscribe(drop)
                session.refuse(drop)
            except OperationalError as error:
                self._lose(session)
                raise LinkLost(str(error)) from None
            self._queues = [queue for queue in self._queues if queue not in drop]
            new = [queue for queue in add if queue not in self._queues]
            try:
                session.subscribe(new)
            except OperationalError:
                self._lose(session)
                raise
            self._queues += new

    # The connection

    def _connected(self) -> Session:
        session = self._session
        if session is not None and session.link.lost is None:
            return session
        if session is not None:
            self._lose(session)
        self._sender.publisher.probe()
        self._session = self._connect()
        return self._session

    def _connect(self) -> Session:
        options = self._server.options
        link = self._server.open(f"celery-rs worker {self.name}", heartbeat=options.heartbeat)
        try:
            self._epoch += 1
            session = Session(link, self._epoch, self._own_queues, self._known)
            try:
                self._facts.follow(link, FACTS_CHANNEL)
            except NotSupported:
                pass
            session.subscribe(self._queues)
            self._declare_native_delays(session)  # to queues that are there by now
        except BaseException:
            link.forget()
            raise
        self._back_by = time.monotonic() + max(_BACK_S, options.heartbeat / 2)
        return session

    def _declare_native_delays(self, session: Session) -> None:
        """Where Celery's workers would do so: its clients rely on it."""
        queues = [self._known.queue(name) for name in self._queues]
        if any(map(topology.is_quorum, queues)):
            queue_type = self._server.options.native_delayed_delivery_queue_type
            session.own.call_all(native_delay.declarations(queues, queue_type), _WRITE_S)

    def _lose(self, session: Session) -> None:
        """The broker takes everything back; what has begun runs on, and its copy comes again."""
        session.link.forget()
        with self._lock:
            if self._session is session:
                self._session = None
                self._facts.log.followers = 0
                untold = {delivery.tag for delivery in (*self._orphans, *self._adopted)}
                begun = {
                    tag
                    for tag, held in self._held.items()
                    if held.begun and (held.number is not None or held.past.tag == tag)
                }
                self._away |= begun
                self._back_by = math.inf
                self._lost += [tag for tag in self._held if tag not in begun | untold]
                self._held = {}
                self._work.clear()
                self._own.clear()
                self._orphans.clear()
                self._adopted.clear()

    # Holding

    def begin(self, tags: Tags, *, late: bool = False) -> Tags:
        """The copy is at the broker before the original is acknowledged."""
        self._faults.wait_while_paused()
        with self._lock:
            session = self._session
            starting = {tag: held for tag in tags if (held := self._held.get(tag)) is not None and not held.begun}
            gone = [tag for tag in tags if tag not in self._held and tag not in self._away]
        if starting and session is not None:
            for held in starting.values():
                held.late = late
            self._copy(starting)
            with self._lock:
                if self._session is not session:
                    for tag in starting:  # the original comes again, so its copy is not needed
                        self._remember_finished(tag)
                    return [*gone, *starting]
                for held in starting.values():
                    held.begun = True
                originals = [held.number for held in starting.values() if held.number is not None]
                self._acknowledge(session, session.work, self._work, originals)
        return gone

    def _copy(self, begun: Mapping[Tag, Held]) -> None:
        """Publish these to the queue of what we run."""
        copies = []
        for tag, held in begun.items():
            key, properties = copy_of(held.past, tag, late=held.late)
            copies.append(self._publish_of(Route(self._own_queues.begun, key), properties, held.body))
        self._sender.publisher.publish(copies, stored=True, deadline=_WRITE_S)

    def _copy_anew(self, session: Session) -> None:
        """Work that goes on for long is delivered to us again, before the broker's patience with it ends."""
        now = time.monotonic()
        most = self._server.options.consumer_timeout / 3
        with self._lock:
            self._hear_own(session)
            lasting = {tag: held for tag, held in self._held.items() if held.copies and now - held.copied_at > most}
            old = {tag: held.copies for tag, held in lasting.items()}
            for held in lasting.values():
                held.copies = []
        if not lasting:
            return
        try:
            self._copy(lasting)
        except OperationalError:
            with self._lock:
                for tag, held in lasting.items():
                    held.copies += old[tag]
            raise
        with self._lock:
            for held in lasting.values():
                held.copied_at = now
            if self._session is session:
                self._acknowledge(session, session.own, self._own, [number for tag in old for number in old[tag]])

    def holds(self, tags: Tags) -> Tags:
        self._await_return(tags)
        with self._lock:
            return [tag for tag in tags if tag in self._held]

    def _await_return(self, tags: Tags) -> None:
        """Whether what has begun is still ours is not known before its copy is back. Raises OperationalError."""
        if self._away.isdisjoint(tags):
            return
        session = self._session
        if session is not None:
            session.link.pump()
        with self._lock:
            if session is not None and session is self._session:
                self._hear_own(session)
            away = self._away.intersection(tags)
            if away and time.monotonic() < self._back_by:
                words = f"lost the connection over {len(away)} message(s) that had begun"
                raise LinkLost(f"{self._server.words()}: {words}; waiting for it to return them")
            self._away -= away
            self._given_up |= dict.fromkeys(away)
            while len(self._given_up) > _REMEMBERED:
                del self._given_up[next(iter(self._given_up))]

    def renew(self) -> Tags:
        """A worker that wants no messages now needs its connection for what it has begun."""
        self._faults.wait_while_paused()
        if self._away and self._session is None and not self._closed and self._receiving.acquire(blocking=False):
            try:
                self._connected()
            finally:
                self._receiving.release()
        session = self._session
        if session is not None:
            try:
                session.link.beat(time.monotonic())
                session.link.pump()
                session.check()
                self._let_others_have(session)
            except OperationalError:
                self._lose(session)
            else:
                self._copy_anew(session)
        with self._lock:
            lost, self._lost = self._lost, []
        return lost

    def _let_others_have(self, session: Session) -> None:
        """Return what has come and is not asked for: a worker busy with long tasks wants no more than it has."""
        if not session.arrived or not self._receiving.acquire(blocking=False):
            return  # who receives will have them
        try:
            if time.monotonic() - session.asked_at < _UNWANTED_S:
                return
            with self._lock:
                in_hand = len(self._work)
            session.want(max(in_hand, 1), self._queues)
            with self._lock:
                unwanted = dict(self._take_held(session, len(session.arrived)))
        finally:
            self._receiving.release()
        self.give_back(list(unwanted))

    def recover(self) -> Recovered:
        self._faults.wait_while_paused()
        session = self._session
        with self._lock:
            if session is not None and session is self._session:
                self._hear_own(session)
            orphans = [self._orphans.popleft() for _ in range(len(self._orphans))]
        return Recovered(0, orphans)

    # Ending

    def commits(self, backend: object) -> bool:
        """A broker keeps no records."""
        return False

    def finish(self, batch: Sequence[Completion]) -> Sequence[Verdict]:
        self._faults.wait_while_paused()
        self._await_return([completion.tag for completion in batch])
        with self._lock:
            ours: dict[Tag, Completion] = {}
            for completion in batch:
                if completion.tag in self._held:
                    ours.setdefault(completion.tag, completion)
            session = self._session
        self._follow_up(ours)
        happened = self._settle(session, ours) if session is not None else set()
        return [
            "committed" if completion.tag in happened and completion is ours[completion.tag] else "lost"
            for completion in batch
        ]

    def _follow_up(self, ours: Mapping[Tag, Completion]) -> None:
        followups = [followup for completion in ours.values() for followup in completion.followups]
        if followups:
            self._sender.publish_or_bury(followups, deadline=_WRITE_S)
        rejected = {tag: REJECTED for tag, completion in ours.items() if completion.how == "rejected"}
        if rejected:
            self._publish_letters(rejected)

    def _settle(self, session: Session, tags: Iterable[Tag]) -> set[Tag]:
        """Acknowledge these, if the connection they came by still lives; which it was true of."""
        tags = list(tags)
        self._await_copies(session, tags)
        with self._lock:
            if self._session is not session:
                return set()
            settled: set[Tag] = set()
            work: list[int] = []
            own: list[int] = []
            for tag in tags:
                held = self._held.pop(tag, None)
                if held is None:
                    continue
                settled.add(tag)
                self._finish_one(tag, held, work, own)
            try:
                self._acknowledge(session, session.work, self._work, work)
                self._acknowledge(session, session.own, self._own, own)
            except LinkLost:
                pass  # they come again: as any message whose end the broker has not heard of
            return settled

    def _await_copies(self, session: Session, tags: Collection[Tag]) -> None:
        """Of what has begun a moment ago the copy may be on its way, and nothing else is left to acknowledge.

        A worker that died with it unacknowledged would be survived by an orphan that had an end.
        """
        until = time.monotonic() + _COPY_S
        try:
            while self._copies_are_missing(session, tags):
                if not session.link.wait(lambda: session.own_arrived, until - time.monotonic()):
                    return  # it is acknowledged when it comes
        except LinkLost:
            pass

    def _copies_are_missing(self, session: Session, tags: Collection[Tag]) -> bool:
        with self._lock:
            if self._session is not session:
                return False
            self._hear_own(session)
            ended = [held for tag in tags if (held := self._held.get(tag)) is not None]
            return any(held.begun and not held.copies for held in ended)

    def _finish_one(self, tag: Tag, held: Held, work: list[int], own: list[int]) -> None:
        if held.begun:
            own.extend(held.copies)
        elif held.number is not None:
            work.append(held.number)
        for each in (tag, held.past.tag):
            if each is not None:
                self._remember_finished(each)

    def _remember_finished(self, tag: Tag) -> None:
        self._finished[tag] = None
        if len(self._finished) > _REMEMBERED:
            self._finished.popitem(last=False)

    @staticmethod
    def _acknowledge(session: Session, channel: Channel, outstanding: Outstanding, numbers: Iterable[int]) -> None:
        acks = outstanding.settle(numbers)
        if acks:
            session.link.send(b"".join([_ack(channel.number, ack) for ack in acks]))

    def give_back(self, tags: Tags, *, crashed: bool = False, front: bool = True) -> None:
        self._faults.wait_while_paused()
        self._await_return(tags)
        with self._lock:
            session = self._session
            ours = {tag: held for tag in tags if (held := self._held.get(tag)) is not None}
        if session is None or not ours:
            return
        nacked = {tag: held for tag, held in ours.items() if front and not crashed and _may_be_nacked(held)}
        published = {tag: held for tag, held in ours.items() if tag not in nacked}
        if published:
            copies = [
                self._publish_of(
                    Route("", held.past.queue),
                    again(held.past, redelivered=True, crashes=int(crashed), delivered=crashed),
                    held.body,
                )
                for held in published.values()
            ]
            self._sender.publisher.publish(copies, stored=True, deadline=_WRITE_S)
            self._settle(session, published)
        if nacked:
            self._nack(session, nacked)

    def _nack(self, session: Session, nacked: Mapping[Tag, Held]) -> None:
        with self._lock:
            if self._session is not session:
                return
            data = []
            for tag, held in nacked.items():
                if self._held.pop(tag, None) is None:
                    continue
                assert held.number is not None
                self._work.settle([held.number])
                nack = spec.Basic.Nack(held.number, multiple=False, requeue=True)
                data.append(frame.Method(session.work.number, nack).marshal())
            session.link.send(b"".join(data))

    def defer(self, due: Mapping[Tag, float]) -> None:
        self._faults.wait_while_paused()
        self._await_return(list(due))
        with self._lock:
            session = self._session
            ours = {tag: held for tag in due if (held := self._held.get(tag)) is not None}
        if session is None or not ours:
            return
        publishes = []
        for tag, held in ours.items():
            properties = again(held.past, redelivered=held.redelivered)
            publishes.append(self._sender.delayed(held.past.queue, properties, held.body, due[tag]))
        self._sender.publisher.publish(publishes, stored=True, deadline=_WRITE_S)
        self._settle(session, ours)

    def bury(self, letters: Mapping[Tag, Burial]) -> None:
        self._faults.wait_while_paused()
        self._await_return(list(letters))
        with self._lock:
            session = self._session
            ours = {tag: letter for tag, letter in letters.items() if tag in self._held}
        if session is not None and ours:
            self._publish_letters(ours)
            self._settle(session, ours)

    def _publish_letters(self, letters: Mapping[Tag, Burial]) -> None:
        """The copy is stored before the original goes, so that it may be there twice; its id is the same then."""
        publishes = []
        for tag, burial in letters.items():
            held = self._held.get(tag)
            if held is None:
                continue
            past = held.past
            headers: dict[str, str | int | float | bool | None] = {
                pasts.LETTER: uuid.uuid5(uuid.NAMESPACE_OID, tag).hex,
                pasts.QUEUE: past.queue,
                pasts.EXCHANGE: past.exchange,
                pasts.KEY: past.routing_key,
                pasts.REASON: burial.reason,
                pasts.DETAIL: burial.detail,
                pasts.DIED_AT: time.time(),
                pasts.CRASHES: past.crashes,
                pasts.DELIVERIES: past.deliveries + 1,
            }
            properties = amqp_changed(past.properties, headers=headers, expiration="", delivery_mode=2)
            publishes.append(self._publish_of(Route("", topology.DEAD), properties, held.body))
        self._sender.publisher.publish(publishes, stored=True, deadline=_WRITE_S)

    @staticmethod
    def _publish_of(route: Route, properties: bytes, body: bytes) -> Publish:
        frames = amqp_content(CHANNEL, FRAME_MAX, *route, True, properties, body)
        return Publish(frames, route, route.routing_key if not route.exchange else None)

    # The end

    def close(self) -> None:
        """The broker takes back what is not acknowledged; what a quorum queue might drop for it is published again."""
        self._closed = True
        self.wake()
        with self._receiving:
            session = self._session
            if session is None or session.link.lost is not None:
                return
            try:
                self._return_the_worn(session)
                session.close()
            finally:
                self._lose(session)
                self._lost = []
                self._away = set()

    def _return_the_worn(self, session: Session) -> None:
        session.unsubscribe(self._queues)
        with self._lock:
            self._take(session, len(session.arrived))
            worn = [
                tag for tag, held in self._held.items() if not _may_be_nacked(held) and (held.late or not held.begun)
            ]
        if worn:
            self.give_back(worn)
        own = self._own_queues
        # Once that is answered, every copy has come.
        session.own.call_all([spec.Basic.Cancel(own.begun), spec.Basic.Cancel(own.fallen)], 5.0)
        with self._lock:
            self._hear_own(session)
            idle = not len(self._own)
        if idle:
            deletions = [spec.Queue.Delete(queue=each, if_empty=True) for each in (own.begun, own.fallen)]
            session.own.call_all(deletions, 5.0)

    def forget(self) -> None:
        """Close the connection and give nothing back, as when the process dies."""
        session = self._session
        if session is not None:
            session.link.forget()


def _may_be_nacked(held: Held) -> bool:
    return held.number is not None and not held.begun and held.past.returns < _RETURNS


def _ack(channel: int, ack: Ack) -> bytes:
    """Basic.Ack, as frames go."""
    return (
        b"\x01"
        + channel.to_bytes(2, "big")
        + b"\x00\x00\x00\x0d\x00\x3c\x00\x50"
        + (ack.delivery_tag.to_bytes(8, "big") + (b"\x01" if ack.multiple else b"\x00") + b"\xce")
    )
