"""A consumer of a Redis: every change of what it holds is one script.

What this object knows it holds (`ledger`) and what the server says may differ: after a lost reply, after a pause in
which others took over, after a stock worker has restored what it found old. The server decides; every script takes a
message only where its tag is still there, which is the fence.
"""

import math
import os
import secrets
import threading
import time
from collections.abc import Iterable, Mapping, Sequence, Set

from celery_rs import states
from celery_rs._core import open_envelopes
from celery_rs.errors import OperationalError
from celery_rs.transports.base import Burial, Completion, Delivery, Received, Recovered, Tag, Tags, Verdict
from celery_rs.transports.faults import Faults
from celery_rs.transports.redis.bindings import Bindings
from celery_rs.transports.redis.errors import LinkLost
from celery_rs.transports.redis.facts import version_of
from celery_rs.transports.redis.keys import Keys, record_end
from celery_rs.transports.redis.leases import LEASE_S, Leases
from celery_rs.transports.redis.ledger import Ledger
from celery_rs.transports.redis.link import Argument, Link, pairs
from celery_rs.transports.redis.listening import Listening
from celery_rs.transports.redis.options import RedisOptions
from celery_rs.transports.redis.overdue import Overdue
from celery_rs.transports.redis.procedures import Procedures
from celery_rs.transports.redis.publishing import arguments as publishing
from celery_rs.transports.redis.results import ResultKeys
from celery_rs.transports.redis.scripts import Script
from celery_rs.transports.redis.server import Server
from celery_rs.transports.redis.skew import Skew
from celery_rs.transports.redis.waiting import LOOK_S, Waiting
from celery_rs.wire import ChordPart, TaskResult

LONE_S = 0.05
"""Who has just found a single message waits for the next one before it looks: where calls are made one at a time."""

REJECTED = Burial("rejected", "the task refused its message")


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
        self._visibility = options.visibility_timeout
        self._bindings = bindings
        self._faults = faults
        self._lease_s = lease_s
        self._procedures = Procedures(server, keys, skew)
        self._ledger = Ledger(self.name)
        self._listening = Listening(server, keys, options, bindings, queues)
        overdue = Overdue(keys, bindings, skew, options.visibility_timeout)
        self._leases = Leases(self._procedures, self._ledger, overdue, lease_s)
        self._results = ResultKeys()
        self._facts = 0
        self._lone_at = -math.inf
        """When a look brought a single message."""
        self._receiving = threading.Lock()
        self._leases.join(self._listening.told())
        self._waiting = Waiting(server, keys, self.name, block_s=lease_s)
        self._listening.begin(self._listening.queues)

    # Receiving

    def receive(self, limit: int, timeout: float) -> Received:
        self._faults.wait_while_paused()
        with self._receiving:
            if self._ledger.closed:
                return Received([], [], self._facts)
            try:
                received = self._received(limit, time.monotonic() + timeout)
            except OperationalError:
                self._waiting.close()
                raise
            try:
                self._waiting.disarm()
            except OperationalError:
                self._waiting.close()  # what has been reserved is ours all the same, and must be told of
            self._facts = received.facts
            return received

    def _received(self, limit: int, deadline: float) -> Received:
        seldom = time.monotonic() - self._lone_at < LONE_S
        rung = limit > 0 and seldom and self._wait(limit, deadline)
        while True:
            self._listening.hear()
            received, due = self._reserve(limit)
            now = time.monotonic()
            if received.deliveries or received.lost or received.facts != self._facts or rung or now >= deadline:
                if len(received.deliveries) == 1 < limit:
                    self._lone_at = now
                return received
            rung = self._wait(limit, deadline if due is None else min(deadline, now + due))

    def _wait(self, limit: int, until: float) -> bool:
        """Until a look may be worth it; whether that is because of a `wake`."""
        queues = self._listening.order() if limit else []
        return self._waiting.wait(queues, until - time.monotonic(), self._listening.files())

    def _reserve(self, limit: int) -> tuple[Received, float | None]:
        """One look, and seconds until the next delayed message is due, where nothing has come."""
        ledger = self._ledger
        # What came while we waited comes first. Each list with its queue, and where it is read from.
        sources = [(queue, self._keys.queue(queue), self._waiting.list_of(queue)) for queue in self._listening.order()]
        waits = len(sources)
        sources += [(queue, key, key) for queue, key in self._listening.sources()]
        told = self._listening.told()
        listed = [item for queue, _, read in sources for item in (read, record_end(queue))]
        with ledger.noting:
            self._leases.repair()
            first = ledger.first_number()
            try:
                facts, due, lost, *came = self._procedures.run(
                    Script.RESERVE, self.name, ledger.epoch, first, limit, self._lease_s, told, waits, *listed
                )
                if self._faults.reply_is_lost():
                    raise LinkLost(f"{self._server.words()}: the reply was lost; receive again")
            except LinkLost:
                ledger.new_epoch()
                raise
            deliveries: list[Delivery] = []
            for place, raws in zip(came[::2], came[1::2], strict=True):
                queue, key, _ = sources[place]
                deliveries += ledger.note_all(first + len(deliveries), queue, key, open_envelopes(raws))
            ledger.made(first, len(deliveries))
        return Received(deliveries, ledger.take_lost(lost), version_of(facts)), (float(due) if due else None)

    def wake(self) -> None:
        self._waiting.ring()

    def listen_to(self, add: Sequence[str] = (), drop: Sequence[str] = ()) -> None:
        with self._receiving:
            self._waiting.disarm()
            self._waiting.empty(drop)
            self._listening.change(add, drop)
            self._leases.join(self._listening.told())
            with self._server.borrowed() as link:
                self._listening.end(link, drop)
            self._listening.begin(add)

    # Holding

    def begin(self, tags: Tags, *, late: bool = False) -> Tags:
        self._faults.wait_while_paused()
        ours = self._ledger.ours(tags)
        gone = self._procedures.run(Script.BEGIN, self.name, "1" if late else "0", *ours) if ours else []
        kept = set(ours) - {tag.decode() for tag in gone}
        return [tag for tag in tags if tag not in kept]

    def holds(self, tags: Tags) -> Tags:
        ours = self._ledger.ours(tags)
        return [tag.decode() for tag in self._procedures.run(Script.HOLDS, *ours)] if ours else []

    def renew(self) -> Tags:
        self._faults.wait_while_paused()
        return self._leases.renew(self._listening.told())

    def recover(self) -> Recovered:
        self._faults.wait_while_paused()
        return self._leases.recover()

    def take_over_all(self) -> Recovered:
        """As `recover` does, from everybody else: for who knows that no other consumer lives."""
        return self._leases.take_over_all()

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
        ours: dict[Tag, Completion] = {}
        for completion in self._ledger.held(batch):
            ours.setdefault(completion.tag, completion)
        happened: Set[Tag] = ours.keys()
        verdict: Verdict = "committed"
        if ours:
            happened, verdict = self._finish(ours)
        if len(happened) == len(batch):
            return [verdict for _ in batch]
        return [
            "committed" if completion.tag in happened and completion is ours[completion.tag] else "lost"
            for completion in batch
        ]

    def _finish(self, ours: Mapping[Tag, Completion]) -> tuple[Set[Tag], Verdict]:
        """Those that were still held, and what is to be said of them.

        What was written once without an answer, and is held no more, has happened.
        """
        ledger = self._ledger
        with self._server.borrowed() as link:
            parts = self._parts(link, ours)
            try:
                kept = self._results.kept_ms()
                reply = self._procedures.run_on(
                    link, Script.FINISH, self.name, self._visibility, kept, len(ours), *ours, *parts
                )
            except LinkLost:
                ledger.unsure.update(ours)
                raise
        if parts:
            self._wake_for(each.not_before for completion in ours.values() for each in completion.followups)
        if b"0" in reply:
            verdicts = zip(ours, reply.decode(), strict=True)
            happened: Set[Tag] = {tag for tag, verdict in verdicts if verdict != "0" or tag in ledger.unsure}
        else:
            happened = ours.keys()
        ledger.let_go(ours)
        return happened, "committed" if reply.strip(b"2") else "unheard"

    def _parts(self, link: Link, ours: Mapping[Tag, Completion]) -> list[Argument]:
        """All but the tags, as `lua/finish.lua` reads it; nothing where the messages are only settled."""
        outgoing = [followup for completion in ours.values() for followup in completion.followups]
        followups = (
            iter(publishing(link, self._keys, self._bindings, outgoing, delays=True, strays=True))
            if outgoing
            else iter(())
        )
        key, success = self._results.record, states.SUCCESS
        packed: list[Argument] = []
        ends_only = True
        for tag, how, following, record, part in ours.values():
            if how == "done" and not following and part is None:
                if record is None:
                    packed.append(b"-")
                    continue
                if record.state == success and not record.attempt:
                    ends_only = False
                    packed += (b"r", key(record.task_id), record.meta)
                    continue
            ends_only = False
            packed += (b"*", b"" if how == "done" else self._ledger.letter(tag, REJECTED), len(following))
            for _ in following:
                packed += next(followups)
            packed += self._recorded(record)
            packed += self._counted(part)
        return [] if ends_only else packed

    def _recorded(self, record: TaskResult | None) -> tuple[Argument, ...]:
        return ("0",) if record is None else ("1", *self._results.storing(record))

    def _counted(self, part: ChordPart | None) -> tuple[Argument, ...]:
        return ("0",) if part is None else ("1", *self._results.counting(part))

    def give_back(self, tags: Tags, *, crashed: bool = False, front: bool = True) -> None:
        self._faults.wait_while_paused()
        ours = self._ledger.ours(tags)
        if ours:
            with self._server.borrowed() as link:
                self._leases.give_back(link, ours, crashed=crashed, counted=crashed, front=front)

    def defer(self, due: Mapping[Tag, float]) -> None:
        self._faults.wait_while_paused()
        ours = self._ledger.ours(due)
        if ours:
            self._procedures.run(Script.DEFER, self.name, self._visibility, *self._ledger.deferring(due, ours))
            self._ledger.let_go(ours)
            self._wake_for(due[tag] for tag in ours)

    def _wake_for(self, due: Iterable[float | None]) -> None:
        """Have who waits for messages learn of delayed ones that are due before its next look."""
        soonest = min((when for when in due if when is not None), default=math.inf)
        if soonest - time.time() < LOOK_S:
            self.wake()

    def bury(self, letters: Mapping[Tag, Burial]) -> None:
        self._faults.wait_while_paused()
        ours = self._ledger.ours(letters)
        if ours:
            packed: list[Argument] = []
            for tag in ours:
                packed += [tag, self._ledger.letter(tag, letters[tag]), *self._recorded(letters[tag].record)]
            self._procedures.run(Script.BURY, self.name, *packed)
            self._ledger.let_go(ours)

    # The end

    def close(self) -> None:
        """What is begun stays on record: the next `recover` of anybody makes orphans of it."""
        self.wake()
        with self._receiving:
            if self._ledger.closed:
                return
            try:
                self._waiting.disarm()
                with self._ledger.noting, self._server.borrowed() as link:
                    self._return_everything(link)
                    self._leave(link)
            finally:
                self._ledger.close()
                self.forget()

    def _return_everything(self, link: Link) -> None:
        for each in self._leases.unknown(link, begun=False):
            self._leases.adopt(each)
        states = dict(pairs(link.call(b"HGETALL", self._keys.held_of + self.name.encode())))
        kept = [tag for tag in self._ledger.everything() if states.get(tag.encode(), b"b") != b"b"]
        if kept:
            self._leases.give_back(link, kept, crashed=False, counted=False, front=True)

    def _leave(self, link: Link) -> None:
        self._listening.end(link, self._listening.queues)
        waits = [
            key for queue in self._listening.ever for key in (self._waiting.list_of(queue), self._keys.queue(queue))
        ]
        self._procedures.run_on(link, Script.LEAVE, self.name, *waits)

    def forget(self) -> None:
        """Close connections and give nothing back, as when the process dies."""
        self._waiting.end()
        self._listening.forget()
        self._leases.close()
