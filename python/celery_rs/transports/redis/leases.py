"""Keep what a consumer holds, and take over what the dead held: all that goes by the server's clock.

It has a connection of its own, so that nothing else that is slow costs a lease.
"""

import json
import threading
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from celery_rs._core import Envelope, open_envelopes
from celery_rs.errors import OperationalError
from celery_rs.transports.base import Delivery, Recovered, Tag, Tags
from celery_rs.transports.redis.errors import LinkLost, Refused
from celery_rs.transports.redis.keys import FIELD, is_name, open_record
from celery_rs.transports.redis.ledger import Ledger
from celery_rs.transports.redis.link import Link, pairs
from celery_rs.transports.redis.overdue import Overdue
from celery_rs.transports.redis.procedures import Procedures
from celery_rs.transports.redis.scripts import Script
from celery_rs.transports.redis.suspicion import Suspicion

LEASE_S = 10.0
"""How long a consumer is trusted without a renewal; see `suspicion` for what happens then."""
_AT_ONCE = 500
"""Messages for which one script may keep others waiting."""
_GONE_S = 3600.0
"""For so long after a takeover a consumer may still turn out to have been alive."""
_RUNS, _BEGUN = b"r", b"b"


class Leases:
    """One consumer's lease, and its part in the end of others'. Any thread, one at a time."""

    def __init__(self, procedures: Procedures, ledger: Ledger, overdue: Overdue, lease_s: float) -> None:
        self._procedures = procedures
        self._ledger = ledger
        self._overdue = overdue
        self._lease_s = lease_s
        self._suspicion = Suspicion(lease_s)
        self._link: Link | None = None
        self._turn = threading.Lock()

    def join(self, queues: str) -> None:
        """Be known to others as a consumer of these queues (JSON)."""
        self._procedures.run(Script.JOIN, self._ledger.name, self._lease_s, queues)

    def renew(self, queues: str) -> Tags:
        """Prolong the lease; the tags that are ours no more."""
        with self._turn:
            link = self._own_link()
            told: list[bytes] = []
            cursor = b"0"
            try:
                while True:
                    cursor, held, gone = self._procedures.run_on(
                        link, Script.RENEW, self._ledger.name, self._lease_s, queues, cursor, _AT_ONCE
                    )
                    told += gone
                    if cursor == b"0":
                        break
            except LinkLost:
                self._link = None
                raise
        lost = self._ledger.take_lost(told)
        if held > len(self._ledger):
            # A request may arrive after the repair of what it seemed to have done. What is just being received counts
            # here, too, and does not suffer: whoever repairs looks again while nothing is.
            self._ledger.lose()
        if self._ledger.reply_was_lost and self._ledger.noting.acquire(blocking=False):
            try:
                self.repair()
            finally:
                self._ledger.noting.release()
        return lost

    def recover(self) -> Recovered:
        """Take back what the dead held, ours and Celery's."""
        with self._turn:
            link = self._own_link()
            try:
                now, *over = self._procedures.run_on(link, Script.SWEEP, self._ledger.name)
                ended = dict(pairs(over))
                dead = self._suspicion.dead({name: float(when) for name, when in ended.items()}, float(now))
                reclaimed = self._reclaim(link, float(now))
                restored, refused = self._restore_overdue(link, float(now))
                taken = Recovered()
                if dead or self._ledger.orphans_are_lost:
                    with self._ledger.noting:
                        taken = self._take_over(link, {name: ended[name] for name in dead})
                if refused is not None and taken == Recovered():
                    raise refused  # else the next round says so: what was taken over must be told of first
                return Recovered(reclaimed + restored + taken.returned, taken.orphans)
            except LinkLost:
                self._link = None
                raise

    def _reclaim(self, link: Link, now: float) -> int:
        """What came for consumers after they were taken over from: they had been stopped, went on, and died."""
        reclaimed = 0
        for name, told in pairs(link.call(b"HGETALL", self._procedures.keys.consumers + b".gone")):
            since, _, queues = told.partition(b"\n")
            forget = "0" if _is_recent(since, now) else "1"
            waits = self._waits(name, queues)
            reclaimed += int(self._procedures.run_on(link, Script.RECLAIM, name, forget, *waits))
        return reclaimed

    def _restore_overdue(self, link: Link, now: float) -> tuple[int, Refused | None]:
        """What Celery's dead held; that the server refuses it must not keep us from what ours did."""
        try:
            return self._overdue.restore(link, now), None
        except Refused as refused:
            return 0, refused

    def take_over_all(self) -> Recovered:
        """The same from everybody else: for who knows that no other consumer lives."""
        with self._turn:
            link = self._own_link()
            flat = link.call(b"ZRANGE", self._procedures.keys.alive, 0, -1, b"WITHSCORES")
            others = {name: when for name, when in pairs(flat) if name != self._ledger.name.encode()}
            with self._ledger.noting:
                return self._take_over(link, others)

    def repair(self) -> None:
        """Return what a lost reply had reserved; `noting` is held. Orphans stay: `recover` finds them again."""
        if not self._ledger.reply_was_lost:
            return
        with self._procedures.server.borrowed() as link:
            self._return(link, self.unknown(link, begun=False))
        self._ledger.reply_was_lost = False

    def unknown(self, link: Link, *, begun: bool) -> "list[Adopted]":
        """What the server says is ours and we know nothing of."""
        keys = self._procedures.keys
        tags = [
            (tag, state)
            for tag, state in pairs(link.call(b"HGETALL", keys.held_of + self._ledger.name.encode()))
            if (state == _BEGUN) is begun and not self._ledger.knows(tag.decode())
        ]
        if not tags:
            return []
        records = link.call(b"HMGET", keys.begun if begun else keys.unacked, *(FIELD + tag for tag, _ in tags))
        return [
            Adopted(tag, state, record, tag)
            for (tag, state), record in zip(tags, records, strict=True)
            if record is not None
        ]

    def adopt(self, adopted: "Adopted") -> Delivery:
        """Note that it is ours."""
        raw, queue = open_record(adopted.record)
        (envelope,) = open_envelopes([raw])
        priority = envelope.priority if isinstance(envelope, Envelope) else 0
        key = self._procedures.keys.queue(queue, priority)
        return self._ledger.note(adopted.tag.decode(), adopted.place, queue, key, envelope)

    def give_back(self, link: Link, tags: Sequence[Tag], *, crashed: bool, counted: bool, front: bool) -> int:
        """To their queues, those that are still ours. -> how many"""
        triples = self._ledger.returning(tags, crashed=crashed, counted=counted, front=front)
        where = "1" if front else "0"
        returned = 0
        for start in range(0, len(triples), 3 * _AT_ONCE):
            some = triples[start : start + 3 * _AT_ONCE]
            returned += self._procedures.run_on(link, Script.GIVE_BACK, self._ledger.name, where, *some)
        self._ledger.let_go(tags)
        return returned

    def close(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None

    def _take_over(self, link: Link, dead: Mapping[bytes, bytes]) -> Recovered:
        """From each of the dead, if its lease still ended when the sweep saw it end. `noting` is held."""
        try:
            return self._taken_over(link, dead)
        except LinkLost:
            self._ledger.new_epoch()
            raise

    def _taken_over(self, link: Link, dead: Mapping[bytes, bytes]) -> Recovered:
        begun = self.unknown(link, begun=True) if self._ledger.orphans_are_lost else []
        returned = 0
        for name, ended in dead.items():
            waits = self._waits(name, link.call(b"HGET", self._procedures.keys.consumers, name))
            more = True
            while more:
                first = self._ledger.first_number()
                left, *flat = self._procedures.run_on(
                    link, Script.ADOPT, self._ledger.name, self._ledger.epoch, first, _AT_ONCE, name, ended, *waits
                )
                more = left == b"1"
                found = [Adopted(*each) for each in zip(flat[::4], flat[1::4], flat[2::4], flat[3::4], strict=True)]
                self._ledger.made(first, len(found))
                returned += self._return(link, [each for each in found if each.state != _BEGUN])
                begun += [each for each in found if each.state == _BEGUN]
        self._ledger.orphans_are_lost = False
        return Recovered(returned, [self.adopt(each) for each in begun])

    def _waits(self, consumer: bytes, told: bytes | None) -> list[bytes]:
        """Where what came for a consumer of these queues while it waited may lie, and where that belongs."""
        keys = self._procedures.keys
        return [
            key
            for queue in _queues(told)
            for key in (keys.wait_of + consumer + b"." + queue.encode(), keys.queue(queue))
        ]

    def _return(self, link: Link, adopted: "Sequence[Adopted]") -> int:
        """To the fronts of their queues; what ran has crashed, and of the rest nothing is known."""
        returned = 0
        for ran in (True, False):
            tags = [self.adopt(each).tag for each in adopted if (each.state == _RUNS) is ran]
            if tags:
                try:
                    returned += self.give_back(link, tags, crashed=ran, counted=True, front=True)
                except OperationalError:
                    self._ledger.let_go(tags)  # nobody has been told of them: they must be found again
                    raise
        return returned

    def _own_link(self) -> Link:
        if self._link is None:
            self._suspicion.disturbed()
            self._link = self._procedures.server.connect()
        return self._link


def _is_recent(since: bytes, now: float) -> bool:
    """Whether a takeover may still turn out to have been too early; a time that is none is not."""
    try:
        return now - float(since) < _GONE_S
    except ValueError:
        return False


class Adopted(NamedTuple):
    """A message that has become ours without our asking; `before` is the tag it had."""

    tag: bytes
    state: bytes
    record: bytes
    before: bytes

    @property
    def place(self) -> int:
        """In the order in which it was reserved."""
        number = self.before.rpartition(b".")[2]
        return int(number) if number.isdigit() and len(number) < 20 else 0


def _queues(told: bytes | None) -> list[str]:
    """All that a consumer ever waited for; none where that cannot be read."""
    try:
        _, ever = json.loads(told or b"[[], []]")
        return [queue for queue in ever if is_name(queue)]
    except (ValueError, TypeError, RecursionError):
        return []
