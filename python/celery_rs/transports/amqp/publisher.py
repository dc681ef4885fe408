"""Publishing: each message is tracked until the broker says that it has it.

`written` returns once a message is in the kernel's hands; a thread of the publisher's own sees to it that it is
confirmed, and publishes again what a lost connection, or five seconds of silence, left open. `stored` waits for the
confirm. Each message is `mandatory`, but for those to a fanout: one that no queue takes comes back, its queue is
declared, and it is tried once more. One that the broker refuses ends the channel, and with it all that was open on
it: that is published again one by one, until it is known which it was.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from time import monotonic

from pika import spec

from celery_rs._core import amqp_changed, amqp_content
from celery_rs.errors import OperationalError, Unroutable
from celery_rs.transports.amqp import native_delay, topology
from celery_rs.transports.amqp.errors import NOT_FOUND, LinkLost, Refused
from celery_rs.transports.amqp.ladder import LADDERS, Ladder
from celery_rs.transports.amqp.link import Channel, Item, Link
from celery_rs.transports.amqp.past import BEGUN
from celery_rs.transports.amqp.server import Server
from celery_rs.transports.amqp.topology import Topology
from celery_rs.transports.amqp.unconfirmed import Publish, Ticket, Unconfirmed
from celery_rs.transports.backoff import Backoff
from celery_rs.transports.base import Route

logger = logging.getLogger("celery_rs.amqp")

CHANNEL = 1
_ADMIN = 2
_BROADCASTS = 3
FRAME_MAX = 131_072
"""A broker that agreed on less is not published to in larger frames: see `_connect`."""
SILENCE_S = 5.0
"""A broker that confirms nothing for so long is taken for gone."""
_LOOK_S = 0.1
_PROBE_S = 1.0
_DECLARED_S = 0.2
"""A quorum queue takes so long on a busy broker."""
_MOST_OPEN = 10_000
"""So many may be unconfirmed before `written` waits."""
_BACK_AT_ONCE = 1_000


class Publisher:
    """Any thread. One connection: channel 1 is tracked, 2 declares, 3 announces."""

    def __init__(self, server: Server, known: Topology) -> None:
        self._server = server
        self._known = known
        self._lock = threading.RLock()
        self._link: Link | None = None
        self._channel: Channel | None = None
        self._open = Unconfirmed()
        self._ensured: set[object] = set()
        self._tracked = threading.Event()
        self._tracker: threading.Thread | None = None
        self._closed = False
        self._admin: Channel
        self._broadcasts: Channel
        self._lost_ones: deque[Publish] = deque()
        """What nobody waits for, and no queue took."""
        self._bringing_back = threading.Lock()

    # Publishing

    def publish(self, publishes: Sequence[Publish], *, stored: bool, deadline: float) -> None:
        """`deadline` is seconds from now. Raises OperationalError, Unroutable."""
        until = monotonic() + deadline
        ticket = Ticket() if stored else None
        if ticket is not None:
            ticket.open = len(publishes)
            for each in publishes:
                each.ticket = ticket
        try:
            self._write(publishes, until)
            if ticket is None:
                self._track()
            else:
                self._await(ticket, until)
        except OperationalError:
            if ticket is not None:
                self._open.withdraw(ticket)
            raise

    def _write(self, publishes: Sequence[Publish], until: float) -> None:
        while True:
            with self._lock:
                link = self._prepared(publishes, until)
                if link.blocked is None and len(self._open) < _MOST_OPEN:
                    self._open.add(publishes, monotonic())
                    self._send(link, publishes, until)
                    return
            self._wait_for_room(link, until)

    def _prepared(self, publishes: Sequence[Publish], until: float) -> Link:
        """A connection on which everything is there that these are published to. One that was idle may prove lost."""
        link = self._connected(until)
        try:
            self._ensure(publishes, until)
        except LinkLost:
            link = self._connected(until)
            self._ensure(publishes, until)
        return link

    def _send(self, link: Link, publishes: Sequence[Publish], until: float) -> None:
        """What is open is published again by who finds the connection lost; what has failed here is not."""
        try:
            link.send(b"".join([each.frames for each in publishes]), max(until - monotonic(), 0.1))
        except LinkLost:
            try:
                self._republish(until)
            except OperationalError:
                self._open.drop(publishes)
                raise

    def _wait_for_room(self, link: Link, until: float) -> None:
        def has_room() -> bool:
            return link.blocked is None and len(self._open) < _MOST_OPEN

        try:
            roomy = link.wait(has_room, max(until - monotonic(), 0.0))
        except LinkLost:
            return
        if not roomy:
            why = f"it is {link.blocked}" if link.blocked else "it confirms too slowly"
            raise OperationalError(
                f"{link.place.words()} takes no messages now: {why}; try again when it has recovered"
            )

    def _await(self, ticket: Ticket, until: float) -> None:
        while ticket.open:
            try:
                link, channel = self._alive(), self._channel
                link.wait(
                    lambda: not ticket.open or (channel is not None and channel.closed is not None),  # noqa: B023
                    max(0.0, min(until, self._silent_at()) - monotonic()),
                )
                if ticket.open:
                    self._doubt(link)
            except LinkLost:
                self._republish(until)
            if ticket.open and monotonic() >= until:
                what = f"did not confirm {ticket.open} message(s) in time"
                raise OperationalError(f"{self._server.words()} {what}; they may be there all the same")
        if ticket.failed is not None:
            raise ticket.failed
        if ticket.refused:
            words = f"{self._server.words()} refused {ticket.refused} message(s): a queue of theirs is full"
            raise OperationalError(f"{words} (x-max-length with overflow reject-publish)")
        if ticket.returned:
            self._try_again(ticket, until)

    def _try_again(self, ticket: Ticket, until: float) -> None:
        """Declare the queues of what came back, and publish it once more."""
        returned, ticket.returned = ticket.returned, []
        routable = self._redeclare_for(returned, until)
        for publish in returned:
            if publish.tries or publish.needs not in routable:
                raise Unroutable(_nowhere(publish.route))
        ticket.open = len(returned)
        self._write([publish.again() for publish in returned], until)
        self._await(ticket, until)

    def _redeclare_for(self, returned: Sequence[Publish], until: float) -> set[tuple[str, str | None]]:
        """What these needed and may be there now. Each is declared once, however many were sent to it."""
        needed = {publish.needs: publish for publish in returned if not publish.tries}
        return {needs for needs, publish in needed.items() if self._redeclare(publish, until)}

    def _redeclare(self, publish: Publish, until: float) -> bool:
        """Whether there may be a queue now."""
        with self._lock:
            self._ensured.clear()
            if publish.target is not None:
                self._prepare_queue(publish.target, until)
                return True
            queues = self._known.bound_to(publish.route.exchange)
            for queue in queues:
                self._declare(topology.queue_of(queue), until)
            return bool(queues)

    # Confirms

    def _hear(self, item: Item) -> None:
        """Called by whoever reads the connection."""
        match item[0]:
            case "ack":
                for publish in self._open.confirm(item[2], item[3], monotonic()):
                    self._confirmed(publish)
            case "nack":
                for publish in self._open.confirm(item[2], item[3], monotonic()):
                    self._overflowed(publish)
            case "return":
                self._open.mark_returned(item[6], item[7])
            case _:
                pass

    def _confirmed(self, publish: Publish) -> None:
        ticket = publish.ticket
        if ticket is not None:
            if publish.returned is not None:
                ticket.returned.append(publish)
            ticket.open -= 1
        elif publish.returned is not None:
            self._lost_ones.append(publish)

    def _refused(self, publish: Publish, error: Refused) -> None:
        if publish.ticket is not None:
            publish.ticket.failed = error
            publish.ticket.open -= 1
        else:
            logger.error("%s; the message for %s is lost", error, _where(publish.route))

    def _overflowed(self, publish: Publish) -> None:
        if publish.ticket is not None:
            publish.ticket.refused += 1
            publish.ticket.open -= 1
        else:
            where = _where(publish.route)
            logger.error("%s refused a message for %s: its queue is full", self._server.words(), where)

    def flush(self, deadline: float) -> int:
        """Wait until everything is confirmed; returns how much is not. `deadline` is seconds from now."""
        until = monotonic() + deadline
        backoff = Backoff(most=1.0)
        while (len(self._open) or self._lost_ones) and monotonic() < until:
            try:
                self._care(until, lambda: not len(self._open))
            except OperationalError:
                threading.Event().wait(min(backoff.next(), max(0.0, until - monotonic())))
        return len(self._open) + len(self._lost_ones)

    def _care(self, until: float, done: Callable[[], bool]) -> None:
        """See to what is open. Raises OperationalError when the broker cannot be reached."""
        try:
            link = self._alive()
            link.wait(done, max(0.0, min(until, self._silent_at()) - monotonic()))
            self._doubt(link)
        except LinkLost:
            self._republish(monotonic() + self._server.options.connect_timeout)
        self._bring_back(until)

    def _silent_at(self) -> float:
        since = self._open.silent_since()
        return (monotonic() if since is None else since) + SILENCE_S

    def _doubt(self, link: Link) -> None:
        """Give a connection up on which nothing is confirmed. Raises LinkLost."""
        if len(self._open) and link.blocked is None and monotonic() >= self._silent_at():
            link.fail(LinkLost(f"{link.place.words()} confirmed nothing for {SILENCE_S:.0f} seconds"))

    def _bring_back(self, until: float) -> None:
        """Declare for what came back of what nobody waits for; what no queue takes becomes a dead letter."""
        with self._bringing_back:  # the tracker, and who flushes
            while lost := [self._lost_ones[n] for n in range(min(len(self._lost_ones), _BACK_AT_ONCE))]:
                routable = self._redeclare_for(lost, until)
                self._write([self._second(publish, routable) for publish in lost], until)
                for _ in lost:
                    self._lost_ones.popleft()

    def _second(self, publish: Publish, routable: set[tuple[str, str | None]]) -> Publish:
        """What is published for one that came back."""
        if not publish.tries and publish.needs in routable:
            return publish.again()
        logger.error("%s; it became a dead letter", _nowhere(publish.route))
        return self._as_dead(publish)

    def _as_dead(self, publish: Publish) -> Publish:
        assert publish.returned is not None
        properties, body = publish.returned
        dead = letter_of(properties, publish.target or publish.route.routing_key, "unroutable", _nowhere(publish.route))
        route = Route("", topology.DEAD)
        return Publish(amqp_content(CHANNEL, FRAME_MAX, *route, True, dead, body), route, topology.DEAD)

    # The tracker

    def _track(self) -> None:
        if not self._tracked.is_set():
            self._tracked.set()
        if self._tracker is None:
            self._tracker = threading.Thread(target=self._run, name="amqp-confirms", daemon=True)
            self._tracker.start()

    def _run(self) -> None:
        """Thread: looks ten times a second while something is unconfirmed; publishers read confirms as well."""
        backoff = Backoff()
        pause = threading.Event()
        while not self._closed:
            self._tracked.wait()
            pause.wait(_LOOK_S)
            if not len(self._open) and not self._lost_ones:
                self._tracked.clear()
                if not len(self._open) and not self._lost_ones:
                    continue
                self._tracked.set()  # something was published in between
            try:
                self._care(monotonic(), lambda: True)
                backoff.reset()
            except OperationalError as error:
                delay = backoff.next()
                logger.warning("%s; %d message(s) wait to be published again", error, len(self._open))
                pause.wait(delay)

    # The connection

    def _alive(self) -> Link:
        link, channel = self._link, self._channel
        if link is None or channel is None:
            raise LinkLost(f"{self._server.words()} is not connected")
        link.pump()
        if channel.closed is not None:
            link.fail(LinkLost(str(channel.closed)))
        return link

    def _connected(self, until: float) -> Link:
        try:
            return self._alive()
        except LinkLost:
            self._republish(until)
            return self._alive()

    def _republish(self, until: float) -> None:
        """A new connection, and on it everything that is open. Raises OperationalError."""
        with self._lock:
            try:
                self._alive()
                return  # somebody else has been here
            except LinkLost:
                pass
            refused = self._channel is not None and self._channel.closed is not None
            self._renew(until)
            if not refused:
                self._republish_all(until)
                return
            while not self._republish_one_by_one(until):
                self._renew(until)

    def _renew(self, until: float) -> None:
        self._link, self._channel = self._connect(until)
        self._drop_impossible(until)

    def _republish_all(self, until: float) -> None:
        publishes = self._open.take_all()
        self._open.add(publishes, monotonic())
        if publishes:
            self._alive().send(b"".join([each.frames for each in publishes]), max(until - monotonic(), 0.1))

    def _republish_one_by_one(self, until: float) -> bool:
        """False once the broker has refused one: that one is done with, and the channel is gone."""
        link, channel = self._alive(), self._channel
        assert channel is not None
        waiting = deque(self._open.take_all())
        try:
            while waiting:
                publish = waiting.popleft()
                self._open.add([publish], monotonic())
                link.send(publish.frames, max(until - monotonic(), 0.1))
                if not link.wait(lambda: channel.closed or not len(self._open), max(until - monotonic(), 0.1)):
                    link.fail(LinkLost(f"{link.place.words()} confirms too slowly"))
                if channel.closed is not None:
                    self._open.drop([publish])
                    self._refused(publish, channel.closed)
                    link.forget()
                    return False
            return True
        finally:
            self._open.add(waiting, monotonic())

    def _drop_impossible(self, until: float) -> None:
        """Those that there is no exchange for any more. Where the connection is lost over it, the others stay open."""
        for publish in self._open.all():
            try:
                self._ensure([publish], until)
            except Unroutable as error:
                logger.error("%s", error)
                self._open.drop([publish])
                if publish.ticket is not None:
                    publish.tries += 1
                    publish.ticket.returned.append(publish)
                    publish.ticket.open -= 1
            except Refused:
                pass  # it is there, though declared in another way

    def _connect(self, until: float) -> tuple[Link, Channel]:
        link = self._server.open("celery-rs publisher", timeout=max(until - monotonic(), 0.1))
        try:
            if link.frame_max < FRAME_MAX:
                raise Refused(
                    f"{link.place.words()} allows frames of {link.frame_max} bytes, expected {FRAME_MAX} or more; "
                    "raise its frame_max"
                )
            channel = link.channel(CHANNEL, 5.0)
            channel.on_item = self._hear
            self._admin = link.channel(_ADMIN, 5.0)
            self._broadcasts = link.channel(_BROADCASTS, 5.0)
            channel.call(spec.Confirm.Select(), 5.0)
        except BaseException:
            link.forget()
            raise
        self._ensured.clear()
        return link, channel

    # Declaring

    def declare(self, methods: Sequence[object], deadline: float) -> None:
        """Raises Refused, where something is there already and is different."""
        until = monotonic() + deadline
        with self._lock:
            self._connected(until)
            self._declare(methods, until)

    def _declare(self, methods: Sequence[object], until: float) -> list[object]:
        """A refusal ends the channel it came on; there will be another one."""
        if not methods:
            return []
        patience = SILENCE_S + len(methods) * _DECLARED_S
        try:
            return self._admin.call_all(methods, min(max(until - monotonic(), 1.0), patience))
        except Refused:
            assert self._link is not None
            self._admin = self._link.channel(_ADMIN, 5.0)
            raise

    def probe(self) -> None:
        """Give a connection up that does not answer soon: others to the same broker have been lost."""
        with self._lock:
            if self._link is not None and self._link.lost is None:
                try:
                    self._declare([spec.Exchange.Declare(exchange="amq.direct", passive=True)], monotonic() + _PROBE_S)
                except OperationalError:
                    pass  # who publishes next makes a new one

    def ask(self, method: object, deadline: float) -> object:
        """The answer to one method of the protocol. Raises Refused."""
        until = monotonic() + deadline
        with self._lock:
            self._connected(until)
            return self._declare([method], until)[0]

    def _ensure(self, publishes: Iterable[Publish], until: float) -> None:
        """Once for each connection: what these are published to is there."""
        ensured = self._ensured
        for publish in publishes:
            if publish.needs not in ensured:
                self._prepare(publish, until)
                ensured.add(publish.needs)

    def _prepare(self, publish: Publish, until: float) -> None:
        exchange, target = publish.route.exchange, publish.target
        for ladder in LADDERS:
            if target is not None and (level := ladder.level_of(exchange)) is not None:
                self._prepare_ladder(ladder, level, target, until)
                return
        if exchange == native_delay.TOP:
            queues = [self._known.queue(name) for name in self._known.names()]
            queue_type = self._server.options.native_delayed_delivery_queue_type
            self._declare(native_delay.declarations(queues, queue_type), until)
        elif exchange and not exchange.startswith(BEGUN):
            self._prepare_exchange(publish.route, until)
        elif target is not None:
            self._prepare_queue(target, until)

    def _prepare_queue(self, name: str, until: float) -> None:
        if topology.is_own(name):
            self._declare(topology.own_queues(), until)
            return
        queue = self._known.queue(name)
        if not (queue.is_fleeting or queue.exclusive):
            self._declare(topology.queue_of(queue), until)

    def _prepare_ladder(self, ladder: Ladder, level: int, target: str, until: float) -> None:
        """No higher than it is entered: few messages wait for long."""
        missing = [n for n in range(level + 1) if (ladder.name, n) not in self._ensured]
        if missing:
            levels = [method for n in missing for method in ladder.level(n)]
            self._declare([*topology.own_queues(), *ladder.foot(), *levels], until)
            self._ensured.update((ladder.name, n) for n in missing)
        self._declare([*topology.queue_of(self._known.queue(target)), ladder.binding(target)], until)

    def _prepare_exchange(self, route: Route, until: float) -> None:
        queues = self._known.bound_to(route.exchange)
        for queue in queues:
            methods = topology.exchanges_of(queue) if queue.is_fleeting else topology.queue_of(queue)
            self._declare(methods, until)
        if not queues:
            try:
                self._declare([spec.Exchange.Declare(exchange=route.exchange, passive=True)], until)
            except Refused as error:
                if error.code != NOT_FOUND:
                    raise
                raise Unroutable(f"{_nowhere(route)} ({error})") from None

    # Announcing

    def announce(self, methods: Sequence[object], key: object, frames: Callable[[int], bytes], deadline: float) -> None:
        """Publish without a confirm; `methods` declare once for each connection what `key` stands for."""
        until = monotonic() + deadline
        with self._lock:
            link = self._connected(until)
            if key not in self._ensured:
                self._declare(methods, until)
                self._ensured.add(key)
            if self._broadcasts.closed is not None:
                self._broadcasts = link.channel(_BROADCASTS, 5.0)
            link.send(frames(_BROADCASTS), max(until - monotonic(), 0.1))

    # The end

    def close(self) -> None:
        self._closed = True
        self._tracked.set()
        with self._lock:
            if self._link is not None:
                self._link.close()
                self._link = self._channel = None


def letter_of(properties: bytes, queue: str, reason: str, detail: str) -> bytes:
    """The properties of a message that becomes a dead letter."""
    return amqp_changed(
        properties, headers={"x-crs-queue": queue, "x-crs-reason": reason, "x-crs-detail": detail}, expiration=""
    )


def _nowhere(route: Route) -> str:
    return f"no queue takes what is sent to {_where(route)}; declare a queue that is bound there"


def _where(route: Route) -> str:
    if not route.exchange:
        return repr(route.routing_key)
    return f"exchange {route.exchange!r} by the key {route.routing_key!r}"
