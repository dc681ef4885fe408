"""A consumer of the in-process broker: the protocol of held messages, step by step.

What the attributes of this class know, the *worker* knows; what is in the broker's `Holder` and `held`, the
*broker* knows. A lost reply or a pause makes the two differ, and every method copes with that.
"""

import itertools
import os
import time
from collections.abc import Mapping, Sequence

from celery_rs._core import open_envelopes
from celery_rs.errors import OperationalError
from celery_rs.transports.base import Burial, Completion, Delivery, Received, Recovered, Tag, Tags, Verdict
from celery_rs.transports.faults import Faults
from celery_rs.transports.memory.broker import Broker, Holder, Stored

REJECTED = Burial("rejected", "the task refused its message")

_numbers = itertools.count(1)


class MemoryConsumer:
    """See `transports.base.Consumer`."""

    def __init__(self, broker: Broker, queues: Sequence[str], faults: Faults) -> None:
        self.name = f"memory-{os.getpid()}-{next(_numbers)}"
        self._broker = broker
        self._faults = faults
        self._holder = Holder(self.name, dict.fromkeys(queues), lease_ends=0.0)
        # An epoch is a time in which no reply was lost; with a new one, what we do not know of goes back.
        self._epoch = 1
        self._reply_was_lost = False
        self._known: set[Tag] = set()
        self._serial = itertools.count(1)
        self._woken = False
        with broker.locked():
            broker.join(self._holder)

    # Receiving

    def receive(self, limit: int, timeout: float) -> Received:
        self._faults.wait_while_paused()
        broker = self._broker
        deadline = time.monotonic() + timeout
        with broker.locked():
            self._check_in()
            facts = broker.facts_version
            while not self._has_news(limit, facts) and (left := deadline - time.monotonic()) > 0:
                due = broker.next_due()
                broker.changed.wait(left if due is None else min(left, due))
            self._woken = False
            reserved = broker.take(self._holder, limit)
            tags = [self._hold(stored) for stored in reserved]
            if self._faults.reply_is_lost():
                self._reply_was_lost = True
                raise OperationalError(f"broker {broker}: the connection was lost while receiving; receive again")
            self._known.update(tags)
            return Received(_deliveries(tags, reserved), self._take_lost(), broker.facts_version)

    def _has_news(self, limit: int, facts: int) -> bool:
        broker = self._broker
        broker.promote()
        waiting = limit > 0 and any(broker.ready.get(queue) for queue in self._holder.queues)
        return waiting or self._woken or bool(self._holder.lost) or broker.facts_version != facts

    def _check_in(self) -> None:
        """Be known again after a pause; give back what was reserved for us in a reply that never came."""
        self._broker.join(self._holder)
        if not self._reply_was_lost:
            return
        self._epoch += 1
        self._reply_was_lost = False
        for tag, stored in self._held():
            if tag not in self._known and not stored.begun:
                self._return(tag)

    def wake(self) -> None:
        with self._broker.locked():
            self._woken = True
            self._broker.changed.notify_all()

    def listen_to(self, add: Sequence[str] = (), drop: Sequence[str] = ()) -> None:
        with self._broker.locked():
            for queue in drop:
                self._holder.queues.pop(queue, None)
            self._holder.queues.update(dict.fromkeys(add))
            self._broker.forsake(drop)

    # Holding

    def begin(self, tags: Tags, *, late: bool = False) -> Tags:
        self._faults.wait_while_paused()
        with self._broker.locked():
            for stored in filter(None, map(self._ours, tags)):
                if late:
                    stored.running = True
                else:
                    stored.begun = True
            return [tag for tag in tags if not self._ours(tag)]

    def holds(self, tags: Tags) -> Tags:
        with self._broker.locked():
            return [tag for tag in tags if self._ours(tag)]

    def renew(self) -> Tags:
        self._faults.wait_while_paused()
        with self._broker.locked():
            self._check_in()
            self._broker.renew(self._holder)
            return self._take_lost()

    def recover(self) -> Recovered:
        self._faults.wait_while_paused()
        returned = 0
        orphans: list[Stored] = []
        with self._broker.locked():
            self._check_in()
            dead = self._broker.find_dead(self._holder)
            for tag, stored in list(self._broker.held.items()):
                if stored.holder not in dead:
                    continue
                stored.holder.lost.add(tag)
                if stored.begun:
                    orphans.append(self._broker.release(tag))
                else:
                    self._return(tag, crashed=stored.running)
                    returned += 1
            for holder in dead:
                del self._broker.holders[holder.name]
                self._broker.forsake(holder.queues)
            tags = [self._hold(orphan, begun=True) for orphan in orphans]
            self._known.update(tags)
            return Recovered(returned, _deliveries(tags, orphans))

    # Ending

    def commits(self, backend: object) -> bool:
        """True for the `MemoryBackend` of the same name: its records lie beside this broker's messages."""
        return getattr(backend, "broker", None) is self._broker

    def finish(self, batch: Sequence[Completion]) -> Sequence[Verdict]:
        self._faults.wait_while_paused()
        with self._broker.locked():
            return [self._finish(completion) for completion in batch]

    def _finish(self, completion: Completion) -> Verdict:
        if not self._ours(completion.tag):
            return "lost"
        broker = self._broker
        broker.publish_or_bury(completion.followups)
        if completion.record is not None:
            broker.results.store(completion.record)
        if completion.part is not None:
            broker.results.count(completion.part)
        stored = self._release(completion.tag)
        if completion.how == "rejected":
            broker.bury(stored, REJECTED)
        broker.changed.notify_all()
        return "committed"

    def give_back(self, tags: Tags, *, crashed: bool = False, front: bool = True) -> None:
        self._faults.wait_while_paused()
        with self._broker.locked():
            for tag in filter(self._ours, tags):
                self._return(tag, crashed=crashed, uncount=not crashed, front=front)

    def defer(self, due: Mapping[Tag, float]) -> None:
        self._faults.wait_while_paused()
        with self._broker.locked():
            for tag in filter(self._ours, due):
                stored = self._release(tag)
                stored.deliveries -= 1
                self._broker.delay(stored, due[tag])

    def bury(self, letters: Mapping[Tag, Burial]) -> None:
        self._faults.wait_while_paused()
        with self._broker.locked():
            for tag in filter(self._ours, letters):
                self._broker.bury(self._release(tag), letters[tag])
                record = letters[tag].record
                if record is not None:
                    self._broker.results.store(record)
            self._broker.changed.notify_all()

    def close(self) -> None:
        """What is begun stays on record: the next `recover` of anybody makes orphans of it."""
        with self._broker.locked():
            if self._holder.closed:
                return
            for tag, stored in self._held():
                if not stored.begun:
                    self._return(tag, uncount=True)
            self._broker.leave(self._holder)
            self._broker.forsake(self._holder.queues)
            self._broker.changed.notify_all()

    # Under the broker's lock

    def _ours(self, tag: Tag) -> Stored | None:
        """The fence: a tag that was taken from us is no longer there; who has closed has given up all of his."""
        stored = self._broker.held.get(tag)
        return stored if stored and stored.holder is self._holder and not self._holder.closed else None

    def _held(self) -> list[tuple[Tag, Stored]]:
        return [(tag, stored) for tag, stored in self._broker.held.items() if stored.holder is self._holder]

    def _hold(self, stored: Stored, *, begun: bool = False) -> Tag:
        tag = f"{self.name}.{self._epoch}.{next(self._serial)}"
        stored.begun = begun
        self._broker.hold(tag, stored, self._holder)
        return tag

    def _release(self, tag: Tag) -> Stored:
        self._known.discard(tag)
        return self._broker.release(tag)

    def _return(self, tag: Tag, *, crashed: bool = False, uncount: bool = False, front: bool = True) -> None:
        stored = self._release(tag)
        stored.redelivered = True
        stored.crashes += crashed
        stored.deliveries -= uncount
        if not front:
            self._broker.move_to_end(stored)
        self._broker.make_ready(stored)

    def _take_lost(self) -> Tags:
        lost, self._holder.lost = self._holder.lost & self._known, set()
        self._known -= lost
        return sorted(lost)


def _deliveries(tags: Sequence[Tag], reserved: Sequence[Stored]) -> list[Delivery]:
    envelopes = open_envelopes([stored.envelope for stored in reserved])
    return [
        Delivery(tag, stored.queue, envelope, stored.redelivered, stored.crashes, stored.deliveries)
        for tag, stored, envelope in zip(tags, reserved, envelopes, strict=True)
    ]
