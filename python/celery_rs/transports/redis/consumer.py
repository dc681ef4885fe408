"""A consumer of a Redis: what it holds, and every change of that as one script.

What this object knows it holds and what the server says may differ: after a lost reply, after a pause in which others
took over, after a stock worker has restored what it found old. The server decides; every script takes a message
only where its tag is still there, which is the fence.

An epoch is a time in which no reply was lost. What a lost reply had reserved goes back with the next call.
"""

import itertools
import json
import math
import os
import secrets
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import NamedTuple

from celery_rs._core import DecodeError, Envelope, open_envelopes
from celery_rs.errors import OperationalError
from celery_rs.transports.base import Burial, Completion, Delivery, Received, Recovered, Tag, Tags, Verdict
from celery_rs.transports.faults import Faults
from celery_rs.transports.redis.bindings import Bindings
from celery_rs.transports.redis.errors import LinkLost
from celery_rs.transports.redis.keys import Keys, open_record, record_end
from celery_rs.transports.redis.letters import letter
from celery_rs.transports.redis.link import Argument, Link
from celery_rs.transports.redis.options import RedisOptions
from celery_rs.transports.redis.overdue import Overdue
from celery_rs.transports.redis.publishing import arguments as publishing
from celery_rs.transports.redis.redelivery import Past, past, with_past
from celery_rs.transports.redis.results import ResultKeys
from celery_rs.transports.redis.scripts import Script
from celery_rs.transports.redis.server import Server
from celery_rs.transports.redis.skew import Skew
from celery_rs.transports.redis.subscription import Broadcasts
from celery_rs.transports.redis.suspicion import Suspicion
from celery_rs.transports.redis.waiting import LOOK_S, Waiting
from celery_rs.wire import ChordPart, TaskResult

LEASE_S = 10.0
"""How long a consumer is trusted without a renewal; see `suspicion` for what happens then."""
REJECTED = Burial("rejected", "the task refused its message")
_ADOPTED_AT_ONCE = 500


Hold = tuple[int, bytes, Delivery]
"""A message that is ours: its place among those of one list, the list, the delivery. Plain, for there are many."""


def _returned(delivery: Delivery, *, crashed: bool, counted: bool) -> bytes:
    """The envelope as it goes back. Unless it is `counted`, nothing happened to it, and this was no delivery."""
    before = Past(delivery.redelivered, delivery.crashes, delivery.deliveries - 1)
    after = Past(True, before.crashes + crashed, before.deliveries + counted)
    return delivery.envelope.raw if after == before else with_past(delivery.envelope.raw, after)


class RedisConsumer:
    """See `transports.base.Consumer`."""

    def __init__(
        self,
        server: Server,
        keys: Keys,
        options: RedisOptions,
        bindings: Bindings,
        queues: Sequence[str],
        *,
        faults: Faults,
        skew: Skew,
        lease_s: float = LEASE_S,
    ) -> None:
        host = os.uname().nodename.replace(".", "-")
        self.name = f"{host}-{os.getpid()}-{secrets.token_hex(3)}"
        self._server = server
        self._keys = keys
        self._options = options
        self._bindings = bindings
        self._faults = faults
        self._skew = skew
        self._lease_s = lease_s
        self._queues = list(dict.fromkeys(queues))
        self._waited_for = dict.fromkeys(self._queues)
        self._broadcasts: dict[str, Broadcasts] = {}
        self._held: dict[Tag, Hold] = {}
        self._unsure: set[Tag] = set()
        """Ends of these were written, and whether they happened is not known."""
        self._results = ResultKeys()
        self._epoch = 1
        self._serial = itertools.count(1)
        self._turn = 0
        self._facts = 0
        self._closed = False
        self._reply_was_lost = False
        # Held while tags are made there and noted here: in between nobody may think them forgotten.
        self._noting = threading.Lock()
        self._leasing = threading.Lock()
        self._lease_link: Link | None = None
        self._suspicion = Suspicion(lease_s)
        self._overdue = Overdue(keys, bindings, skew, options.visibility_timeout)
        with server.borrowed() as link:
            Script.JOIN.run(link, keys.fixed, skew(), self.name, lease_s, self._told_queues())
        self._waiting = Waiting(server, keys, self.name)
        self._listen(self._queues)

    # Receiving

    def receive(self, limit: int, timeout: float) -> Received:
        self._faults.wait_while_paused()
        deadline = time.monotonic() + timeout
        facts = self._facts
        rung = False
        try:
            while True:
                self._hear_broadcasts()
                received, due = self._reserve(limit)
                left = deadline - time.monotonic()
                if received.deliveries or received.lost or received.facts != facts or rung or left <= 0:
                    break
                rung = self._waiting.wait(
                    self._order() if limit else [],
                    left if due is None else min(left, due),
                    [each.fileno() for each in self._broadcasts.values()],
                )
            self._waiting.disarm()
        except LinkLost:
            self._waiting.close()
            raise
        self._facts = received.facts
        return received

    def _reserve(self, limit: int) -> tuple[Received, float | None]:
        """One look, and seconds until the next delayed message is due, where nothing has come."""
        keys = self._keys
        sources = [(queue, self._waiting.list_of(queue), keys.queue(queue)) for queue in self._order()]
        sources += [
            (queue, key, key)
            for step in keys.priorities
            for queue in self._order()
            for key in (keys.queue(queue, step),)
        ]
        self._turn += 1
        with self._noting:
            self._repair()
            first = next(self._serial)
            listed = itertools.chain.from_iterable((key, record_end(queue)) for queue, key, _ in sources)
            try:
                with self._server.borrowed() as link:
                    reply = Script.RESERVE.run(
                        link, keys.fixed, self._skew(), self.name, self._epoch, first, limit, self._lease_s, *listed
                    )
                if self._faults.reply_is_lost():
                    raise LinkLost(f"broker {self._server.describe()}: the reply was lost; receive again")
            except LinkLost:
                self._forget_epoch()
                raise
            facts, due, lost, *flat = reply
            raws = flat[1::2]
            places = [sources[place] for place in flat[::2]]
            deliveries = [
                self._hold(f"{self.name}.{self._epoch}.{first + at}", first + at, queue, key, envelope)
                for at, ((queue, _, key), envelope) in enumerate(zip(places, open_envelopes(raws), strict=True))
            ]
            self._serial = itertools.count(first + max(1, len(raws)))
        return Received(deliveries, self._take_lost(lost), int(facts)), (float(due) if due else None)

    def _hold(self, tag: Tag, place: int, queue: str, key: bytes, envelope: Envelope | DecodeError) -> Delivery:
        redelivered, crashes, deliveries = past(envelope)
        delivery = Delivery(tag, queue, envelope, redelivered, crashes, deliveries + 1)
        self._held[tag] = (place, key, delivery)
        return delivery

    def _forget_epoch(self) -> None:
        self._epoch += 1
        self._reply_was_lost = True

    def _repair(self) -> None:
        """Return what a lost reply had reserved. Orphans stay: `recover` finds them again."""
        if not self._reply_was_lost:
            return
        with self._server.borrowed() as link:
            unknown = self._unknown(link, begun=False)
            self._return_adopted(link, unknown)
        self._reply_was_lost = False

    def _order(self) -> list[str]:
        """The queues in the order in which they are looked at."""
        queues = self._queues
        match self._options.queue_order_strategy:
            case "sorted":
                return sorted(queues)
            case "priority":
                return queues
        turn = self._turn % len(queues) if queues else 0
        return queues[turn:] + queues[:turn]

    def _hear_broadcasts(self) -> None:
        """What came for a fanout queue goes into its list, and from there like any other message."""
        for queue, heard in self._broadcasts.items():
            envelopes = heard.receive(0)
            if envelopes:
                with self._server.borrowed() as link:
                    link.call(b"LPUSH", self._keys.queue(queue), *envelopes)

    def wake(self) -> None:
        self._waiting.ring()

    def listen_to(self, add: Sequence[str] = (), drop: Sequence[str] = ()) -> None:
        self._waiting.disarm()
        self._queues = list(dict.fromkeys([*(queue for queue in self._queues if queue not in drop), *add]))
        self._waited_for.update(dict.fromkeys(add))
        with self._server.borrowed() as link:
            Script.JOIN.run(link, self._keys.fixed, self._skew(), self.name, self._lease_s, self._told_queues())
            for queue in drop:
                self._drop(link, queue)
        self._listen(add)

    def _listen(self, queues: Iterable[str]) -> None:
        """Have fanout queues hear their exchange."""
        for queue in queues:
            for exchange in self._bindings.fanouts(queue):
                if queue not in self._broadcasts:
                    self._broadcasts[queue] = Broadcasts(self._server, self._keys, exchange, "#")
            declared = self._bindings.declared(queue)
            if declared is not None and declared.is_fleeting:
                with self._server.borrowed() as link:
                    link.pipeline(self._bindings.binding(declared, round(time.time() * 1000)))

    def _drop(self, link: Link, queue: str) -> None:
        heard = self._broadcasts.pop(queue, None)
        if heard is not None:
            heard.close()
        declared = self._bindings.declared(queue)
        if declared is not None and declared.is_fleeting:
            link.pipeline(self._bindings.unbinding(declared))

    def _told_queues(self) -> str:
        """As others read it: what we consume, and what we have ever waited for."""
        return json.dumps([self._queues, list(self._waited_for)])

    # Holding

    def begin(self, tags: Tags, *, late: bool = False) -> Tags:
        self._faults.wait_while_paused()
        ours = self._ours(tags)
        gone: set[Tag] = set()
        if ours:
            with self._server.borrowed() as link:
                reply = Script.BEGIN.run(link, self._keys.fixed, self._skew(), self.name, "1" if late else "0", *ours)
            gone = {tag.decode() for tag in reply}
        kept = set(ours) - gone
        return [tag for tag in tags if tag not in kept]

    def holds(self, tags: Tags) -> Tags:
        ours = self._ours(tags)
        if not ours:
            return []
        with self._server.borrowed() as link:
            return [tag.decode() for tag in Script.HOLDS.run(link, self._keys.fixed, self._skew(), *ours)]

    def _ours(self, tags: Iterable[Tag]) -> list[Tag]:
        return [] if self._closed else [tag for tag in dict.fromkeys(tags) if tag in self._held]

    def _take_lost(self, told: Iterable[bytes]) -> Tags:
        lost = {tag for raw in told if (tag := raw.decode()) in self._held}
        for tag in lost:
            self._held.pop(tag, None)
        return sorted(lost)

    # Ending

    def commits(self, backend: object) -> bool:
        """True for the result store in this very database, unless its records are such as no script can read."""
        server, results = getattr(backend, "server", None), getattr(backend, "keys", None)
        if not isinstance(server, Server) or not isinstance(results, ResultKeys) or not server.is_same(self._server):
            return False
        if not results.plain:
            return False
        self._results = results
        return True

    def finish(self, batch: Sequence[Completion]) -> Sequence[Verdict]:
        self._faults.wait_while_paused()
        known = set(self._ours(completion.tag for completion in batch))
        ours: dict[Tag, Completion] = {}
        for completion in batch:
            if completion.tag in known:
                ours.setdefault(completion.tag, completion)
        first = {id(completion) for completion in ours.values()}
        if not ours:
            return ["lost" for _ in batch]
        plain = not any(
            completion.followups or completion.record or completion.part or completion.how != "done"
            for completion in ours.values()
        )
        try:
            with self._server.borrowed() as link:
                rest: list[Argument] = [] if plain else self._parts(link, list(ours.values()))
                reply = Script.FINISH.run(
                    link,
                    self._keys.fixed,
                    self._skew(),
                    self.name,
                    self._options.visibility_timeout,
                    len(ours),
                    *ours,
                    *rest,
                )
        except LinkLost:
            self._unsure.update(ours)
            raise
        if not plain:
            followups = (each.not_before for completion in batch for each in completion.followups)
            self._wake_for(due for due in followups if due is not None)
        happened = {
            tag for tag, verdict in zip(ours, reply.decode(), strict=True) if verdict == "1" or tag in self._unsure
        }
        self._let_go(ours)
        return [
            "committed" if completion.tag in happened and id(completion) in first else "lost" for completion in batch
        ]

    def _parts(self, link: Link, batch: Sequence[Completion]) -> list[Argument]:
        """All but the tags, as `lua/finish.lua` reads it."""
        followups = publishing(
            link, self._keys, self._bindings, [each for completion in batch for each in completion.followups],
            delays=True, strays=True,
        )  # fmt: skip
        packed: list[Argument] = []
        position = 0
        for completion in batch:
            packed.append(b"" if completion.how == "done" else self._letter(completion.tag, REJECTED))
            packed.append(len(completion.followups))
            for _ in completion.followups:
                end = position + 5 + 3 * int(followups[position + 4])
                packed += followups[position:end]
                position = end
            packed += self._recorded(completion.record)
            packed += self._counted(completion.part)
        return packed

    def _recorded(self, record: TaskResult | None) -> tuple[Argument, ...]:
        return ("0",) if record is None else ("1", *self._results.storing(record))

    def _counted(self, part: ChordPart | None) -> tuple[Argument, ...]:
        return ("0",) if part is None else ("1", *self._results.counting(part))

    def _letter(self, tag: Tag, why: Burial) -> bytes:
        _, _, held = self._held[tag]
        opened = held.envelope if isinstance(held.envelope, Envelope) else None
        name, id = opened and opened.task, opened and opened.id
        return letter(held.queue, name, id, why.reason, why.detail, held.crashes, held.deliveries, held.envelope.raw)

    def _let_go(self, tags: Iterable[Tag]) -> None:
        for tag in tags:
            self._held.pop(tag, None)
            self._unsure.discard(tag)

    def give_back(self, tags: Tags, *, crashed: bool = False, front: bool = True) -> None:
        self._faults.wait_while_paused()
        ours = self._ours(tags)
        if ours:
            with self._server.borrowed() as link:
                self._give_back(link, ours, crashed=crashed, counted=crashed, front=front)

    def _give_back(self, link: Link, tags: Sequence[Tag], *, crashed: bool, counted: bool, front: bool) -> int:
        # The one that goes last to the front is served first.
        held = sorted((self._held[tag] for tag in tags), key=itemgetter(0), reverse=front)
        triples = [
            item
            for _, key, delivery in held
            for item in (delivery.tag, key, _returned(delivery, crashed=crashed, counted=counted))
        ]
        where = "1" if front else "0"
        returned = Script.GIVE_BACK.run(link, self._keys.fixed, self._skew(), self.name, where, *triples)
        self._let_go(tags)
        return int(returned)

    def defer(self, due: Mapping[Tag, float]) -> None:
        self._faults.wait_while_paused()
        ours = self._ours(due)
        if not ours:
            return
        quadruples: list[Argument] = []
        for tag in ours:
            _, key, held = self._held[tag]
            quadruples += [tag, repr(due[tag]), key, len(record_end(held.queue))]
        with self._server.borrowed() as link:
            Script.DEFER.run(
                link, self._keys.fixed, self._skew(), self.name, self._options.visibility_timeout, *quadruples
            )
        self._let_go(ours)
        self._wake_for(due[tag] for tag in ours)

    def _wake_for(self, due: Iterable[float]) -> None:
        """Have who waits for messages learn of delayed ones that are due before its next look."""
        if min(due, default=math.inf) - time.time() < LOOK_S:
            self.wake()

    def bury(self, letters: Mapping[Tag, Burial]) -> None:
        self._faults.wait_while_paused()
        ours = self._ours(letters)
        if not ours:
            return
        packed: list[Argument] = []
        for tag in ours:
            packed += [tag, self._letter(tag, letters[tag]), *self._recorded(letters[tag].record)]
        with self._server.borrowed() as link:
            Script.BURY.run(link, self._keys.fixed, self._skew(), self.name, *packed)
        self._let_go(ours)

    # Leases

    def renew(self) -> Tags:
        self._faults.wait_while_paused()
        with self._leasing:
            link = self._own_link()
            try:
                told = Script.RENEW.run(
                    link, self._keys.fixed, self._skew(), self.name, self._lease_s, self._told_queues()
                )
            except LinkLost:
                self._lease_link = None
                raise
        lost = self._take_lost(told)
        if self._reply_was_lost and self._noting.acquire(blocking=False):
            try:
                self._repair()
            finally:
                self._noting.release()
        return lost

    def recover(self) -> Recovered:
        self._faults.wait_while_paused()
        with self._leasing:
            link = self._own_link()
            try:
                now, *over = Script.SWEEP.run(link, self._keys.fixed, self._skew(), self.name)
                ended = dict(_pairs(over))
                dead = self._suspicion.dead({name: float(when) for name, when in ended.items()}, float(now))
                restored = self._overdue.restore(link, float(now))
                if not dead and not self._reply_was_lost:
                    return Recovered(restored)
                with self._noting:
                    taken = self._take_over(link, {name: ended[name] for name in dead})
                return Recovered(restored + taken.returned, taken.orphans)
            except LinkLost:
                self._forget_epoch()
                self._lease_link = None
                raise

    def take_over_all(self) -> Recovered:
        """As `recover` does, from everybody else: for who knows that no other consumer lives."""
        with self._leasing:
            link = self._own_link()
            flat = link.call(b"ZRANGE", self._keys.alive, 0, -1, b"WITHSCORES")
            with self._noting:
                return self._take_over(link, {name: when for name, when in _pairs(flat) if name != self.name.encode()})

    def _take_over(self, link: Link, dead: Mapping[bytes, bytes]) -> Recovered:
        adopted = self._unknown(link, begun=True) if self._reply_was_lost else []
        returned = 0
        for name, ended in dead.items():
            told = link.call(b"HGET", self._keys.consumers, name)
            waits = [
                item
                for queue in _read_queues(told)[1]
                for item in (self._keys.wait_of + name + b"." + queue.encode(), self._keys.queue(queue))
            ]
            more = True
            while more:
                first = next(self._serial)
                left, *flat = Script.ADOPT.run(
                    link, self._keys.fixed, self._skew(), self.name, self._epoch, first, _ADOPTED_AT_ONCE,
                    name, ended, *waits,
                )  # fmt: skip
                more = left == b"1"
                found = [_Adopted(*each) for each in zip(flat[::4], flat[1::4], flat[2::4], flat[3::4], strict=True)]
                self._serial = itertools.count(first + len(found) + 1)
                returned += self._return_adopted(link, [each for each in found if each.state != b"b"])
                adopted += [each for each in found if each.state == b"b"]
        return Recovered(returned, [self._hold_adopted(each) for each in adopted])

    def _unknown(self, link: Link, *, begun: bool) -> "list[_Adopted]":
        """What the server says is ours and we know nothing of."""
        flat = link.call(b"HGETALL", self._keys.held_of + self.name.encode())
        tags = [
            (tag, state)
            for tag, state in zip(flat[::2], flat[1::2], strict=True)
            if (state == b"b") is begun and tag.decode() not in self._held
        ]
        if not tags:
            return []
        records = link.call(
            b"HMGET", self._keys.begun if begun else self._keys.unacked, *(b"crs." + tag for tag, _ in tags)
        )
        return [
            _Adopted(tag, state, record, tag)
            for (tag, state), record in zip(tags, records, strict=True)
            if record is not None
        ]

    def _hold_adopted(self, adopted: "_Adopted") -> Delivery:
        raw, queue = open_record(adopted.record)
        envelope = open_envelopes([raw])[0]
        priority = envelope.priority if isinstance(envelope, Envelope) else 0
        tag = adopted.tag.decode()
        return self._hold(tag, adopted.place, queue, self._keys.queue(queue, priority), envelope)

    def _return_adopted(self, link: Link, adopted: "Sequence[_Adopted]") -> int:
        """To the fronts of their queues; what ran has crashed, and of the rest nothing is known."""
        returned = 0
        for ran in (True, False):
            tags = [self._hold_adopted(each).tag for each in adopted if (each.state == b"r") is ran]
            if tags:
                try:
                    returned += self._give_back(link, tags, crashed=ran, counted=True, front=True)
                except OperationalError:
                    self._let_go(tags)  # nobody has been told of them: they must be found again
                    raise
        return returned

    def _own_link(self) -> Link:
        """The connection of the leases: nothing else waits for it."""
        if self._lease_link is None:
            self._suspicion.disturbed()
            self._lease_link = self._server.connect()
        return self._lease_link

    # The end

    def forget(self) -> None:
        """Close connections and give nothing back, as when the process dies."""
        self._waiting.end()
        for heard in self._broadcasts.values():
            heard.close()
        if self._lease_link is not None:
            self._lease_link.close()
            self._lease_link = None

    def close(self) -> None:
        """What is begun stays on record: the next `recover` of anybody makes orphans of it."""
        if self._closed:
            return
        try:
            self._waiting.disarm()
            with self._noting, self._server.borrowed() as link:
                for each in self._unknown(link, begun=False):
                    self._hold_adopted(each)
                states = dict(_pairs(link.call(b"HGETALL", self._keys.held_of + self.name.encode())))
                kept = [tag for tag in self._held if states.get(tag.encode(), b"b") != b"b"]
                if kept:
                    self._give_back(link, kept, crashed=False, counted=False, front=True)
                self._leave(link)
        except OperationalError:
            self._closed = True
            self.forget()
            raise
        self._closed = True
        self.forget()

    def _leave(self, link: Link) -> None:
        for queue in list(self._queues):
            self._drop(link, queue)
        waits = [item for queue in self._waited_for for item in (self._waiting.list_of(queue), self._keys.queue(queue))]
        Script.LEAVE.run(link, self._keys.fixed, self._skew(), self.name, *waits)


class _Adopted(NamedTuple):
    """A message that has come to us by a death; `before` is the tag it had."""

    tag: bytes
    state: bytes
    record: bytes
    before: bytes

    @property
    def place(self) -> int:
        """In the order in which it was reserved."""
        return int(self.before.rpartition(b".")[2])


def _read_queues(told: bytes | None) -> tuple[list[str], list[str]]:
    queues, waited = json.loads(told) if told else ([], [])
    return queues, waited


def _pairs(flat: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
    return list(zip(flat[::2], flat[1::2], strict=True))
