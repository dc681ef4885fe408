"""A consumer of a RabbitMQ: its connection, and what it receives by it.

The broker notices the end of a connection and takes back what was not acknowledged, so a lease is the connection.
"""

import math
import os
import secrets
import threading
import time
from collections.abc import Mapping, Sequence

from pika import spec

from celery_rs.errors import NotSupported, OperationalError
from celery_rs.transports.amqp import native_delay, topology
from celery_rs.transports.amqp.begun import OwnQueues
from celery_rs.transports.amqp.copies import WRITE_S, Copies
from celery_rs.transports.amqp.endings import Endings
from celery_rs.transports.amqp.errors import LinkLost
from celery_rs.transports.amqp.facts import AmqpFacts
from celery_rs.transports.amqp.hand import Hand, opened
from celery_rs.transports.amqp.outgoing import Sender
from celery_rs.transports.amqp.server import Server
from celery_rs.transports.amqp.session import FACTS_CHANNEL, Session
from celery_rs.transports.amqp.shares import FULL_S
from celery_rs.transports.amqp.topology import Topology
from celery_rs.transports.base import Burial, Completion, Received, Recovered, Tag, Tags, Verdict
from celery_rs.transports.faults import Faults

_REFRESHED_S = 1.0
"""So long what a quorum queue has taken back too often is waited for."""
_UNWANTED_S = 1.0
"""What nobody has asked for so long goes back."""
_BACK_S = 10.0
"""So long after a connection was made anew what had begun under the last one is waited for; or half a heartbeat, since
the broker may notice later than we that the last one is dead."""


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
        self._hand = Hand(self.name)
        self._copies = Copies(self._hand, sender.publisher, self._own_queues, options.consumer_timeout)
        self._endings = Endings(self._hand, self._copies, sender)
        self._epoch = 0
        self._version = 0
        self._rung = False
        self._closed = False
        self._connect()

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
        wanted = len(self._hand) + limit
        session.check()
        now = time.monotonic()
        if limit:
            session.asked_at = now
        until = now + timeout
        log = self._facts.log

        def something() -> bool:
            return bool(
                (session.arrived and limit)
                or session.own_arrived
                or self._hand.has_news
                or self._rung
                or self._closed
                or session.work.closed
                or session.cancelled
                or session.is_behind
                or log.version != self._version
            )

        while True:
            session.want(wanted, self._queues)
            look_again = self._widen(session, wanted) if limit else math.inf
            came = session.link.wait(something, max(0.0, min(until, look_again) - time.monotonic()))
            session.check()
            if not (session.cancelled or session.is_behind) and (came or time.monotonic() >= until):
                return

    def _widen(self, session: Session, wanted: int) -> float:
        """Let each queue push all that is wanted, where its share is too small; tells when to look again."""
        now = time.monotonic()
        if session.prefetch >= wanted:
            return math.inf
        if not session.is_settled:
            return now + FULL_S
        hand, shares = self._hand, session.shares
        has_little = len(hand) * 2 < wanted
        lacks = has_little or not session.arrived
        too_long_at = shares.look(hand.queues_with(session.prefetch) if lacks else frozenset(), now)
        is_alone_busy = has_little and shares.are_one_sided and hand.queues_with(session.prefetch // 2)
        if not is_alone_busy and now < too_long_at:
            return too_long_at
        session.want(wanted, self._queues, of_each=True)
        return math.inf

    def _received(self, session: Session, limit: int) -> Received:
        self._rung = False
        self._version = self._facts.log.version
        hand = self._hand
        hand.hear(session)
        adopted = hand.take_adopted()
        taken = hand.take(session, limit)
        lost = hand.take_lost()
        while worn := [tag for tag, held in taken if held.is_worn]:
            if not self._refresh(session, worn):
                break  # a broker that takes no messages now: they are delivered as they are
            taken = [(tag, held) for tag, held in taken if tag in hand.held]
            taken += hand.take(session, limit - len(taken))  # among them may be more of the kind
        deliveries = opened([(tag, held) for tag, held in taken if tag in hand.held])
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
        return self._hand.held.keys().isdisjoint(worn)

    def wake(self) -> None:
        self._rung = True
        session = self._hand.session
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
        session = self._hand.session
        if session is not None and session.link.lost is None:
            return session
        if session is not None:
            self._lose(session)
        self._sender.publisher.probe()
        return self._connect()

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
        self._hand.hold_on(session, time.monotonic() + max(_BACK_S, options.heartbeat / 2))
        return session

    def _declare_native_delays(self, session: Session) -> None:
        """Where Celery's workers would do so: its clients rely on it."""
        queues = [self._known.queue(name) for name in self._queues]
        if any(map(topology.is_quorum, queues)):
            queue_type = self._server.options.native_delayed_delivery_queue_type
            session.own.call_all(native_delay.declarations(queues, queue_type), WRITE_S)

    def _lose(self, session: Session) -> None:
        session.link.forget()
        if self._hand.let_go(session):
            self._facts.log.followers = 0

    # Holding

    def begin(self, tags: Tags, *, late: bool = False) -> Tags:
        self._faults.wait_while_paused()
        return self._copies.begin(tags, late=late)

    def holds(self, tags: Tags) -> Tags:
        self._await_return(tags)
        _, ours = self._hand.ours(tags)
        return list(ours)

    def _await_return(self, tags: Tags) -> None:
        self._hand.await_return(tags, self._server.words)

    def renew(self) -> Tags:
        """A worker that wants no messages now needs its connection for what it has begun."""
        self._faults.wait_while_paused()
        hand = self._hand
        if hand.has_away and hand.session is None and not self._closed and self._receiving.acquire(blocking=False):
            try:
                self._connected()
            finally:
                self._receiving.release()
        session = hand.session
        if session is not None:
            try:
                session.link.beat(time.monotonic())
                session.link.pump()
                session.check()
                self._let_others_have(session)
            except OperationalError:
                self._lose(session)
            else:
                self._copies.renew(session)
        return hand.take_lost()

    def _let_others_have(self, session: Session) -> None:
        """Return what has come and is not asked for: a worker busy with long tasks wants no more than it has."""
        if not session.arrived or not self._receiving.acquire(blocking=False):
            return  # who receives will have them
        try:
            if time.monotonic() - session.asked_at < _UNWANTED_S:
                return
            session.want(1, self._queues)
            unwanted = dict(self._hand.take(session, len(session.arrived)))
        finally:
            self._receiving.release()
        self.give_back(list(unwanted))

    def recover(self) -> Recovered:
        self._faults.wait_while_paused()
        self._hand.hear(self._hand.session)
        return Recovered(0, self._hand.take_orphans())

    # Ending

    def commits(self, backend: object) -> bool:
        """A broker keeps no records."""
        return False

    def finish(self, batch: Sequence[Completion]) -> Sequence[Verdict]:
        self._faults.wait_while_paused()
        self._await_return([completion.tag for completion in batch])
        return self._endings.finish(batch)

    def give_back(self, tags: Tags, *, crashed: bool = False, front: bool = True) -> None:
        self._faults.wait_while_paused()
        self._await_return(tags)
        self._endings.give_back(tags, crashed=crashed, front=front)

    def defer(self, due: Mapping[Tag, float]) -> None:
        self._faults.wait_while_paused()
        self._await_return(list(due))
        self._endings.defer(due)

    def bury(self, letters: Mapping[Tag, Burial]) -> None:
        self._faults.wait_while_paused()
        self._await_return(list(letters))
        self._endings.bury(letters)

    # The end

    def close(self) -> None:
        """The broker takes back what is not acknowledged; what a quorum queue might drop for it is published again."""
        self._closed = True
        self.wake()
        with self._receiving:
            session = self._hand.session
            if session is None or session.link.lost is not None:
                return
            try:
                self._return_the_worn(session)
                session.close()
            finally:
                self._lose(session)
                self._hand.forget()

    def _return_the_worn(self, session: Session) -> None:
        session.unsubscribe(self._queues)
        hand = self._hand
        hand.take(session, len(session.arrived))
        with hand.lock:
            worn = [tag for tag, held in hand.held.items() if not held.may_be_nacked and (held.late or not held.begun)]
        if worn:
            self.give_back(worn)
        own = self._own_queues
        # Once that is answered, every copy has come.
        session.own.call_all([spec.Basic.Cancel(own.begun), spec.Basic.Cancel(own.fallen)], 5.0)
        hand.hear(session)
        if not hand.holds_copies:
            deletions = [spec.Queue.Delete(queue=each, if_empty=True) for each in (own.begun, own.fallen)]
            session.own.call_all(deletions, 5.0)

    def forget(self) -> None:
        """Close the connection and give nothing back, as when the process dies."""
        session = self._hand.session
        if session is not None:
            session.link.forget()
