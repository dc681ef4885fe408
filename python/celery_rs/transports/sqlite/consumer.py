"""A consumer of the embedded broker.

Its life is a lock (`locks.Lease`), not a deadline: a worker that is stopped keeps its work, one that is dead loses it
at once. What this object knows it holds and what the file says may differ after a lost reply or a takeover; every
method asks the file inside its own transaction, which is the fence.

An epoch is one `receive`. The rows of one whose reply was lost are returned by the next call.
"""

import itertools
import logging
import os
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from celery_rs._core import open_envelopes, seal_envelopes
from celery_rs.errors import OperationalError
from celery_rs.transports.base import Burial, Completion, Delivery, Outgoing, Received, Recovered, Tag, Tags, Verdict
from celery_rs.transports.faults import Faults
from celery_rs.transports.sqlite import bindings, messages, upkeep
from celery_rs.transports.sqlite.database import WORKER_LOG_PAGES, Database, Transaction
from celery_rs.transports.sqlite.facts import current_version
from celery_rs.transports.sqlite.files import directory_beside
from celery_rs.transports.sqlite.locks import Lease
from celery_rs.transports.sqlite.messages import Hold, Reserved
from celery_rs.transports.sqlite.results import ResultTable
from celery_rs.transports.sqlite.wake import NET_S
from celery_rs.wire import Queue

logger = logging.getLogger("celery.worker.consumer")

REJECTED = Burial("rejected", "the task refused its message")


class SqliteConsumer:
    """See `transports.base.Consumer`."""

    def __init__(
        self, database: Database, queues: Sequence[str], faults: Faults, fleeting: Mapping[str, Queue] | None = None
    ) -> None:
        """`fleeting` are the declared queues that are bound while somebody consumes them; more may be added to it."""
        self.name = f"{os.getpid()}-{secrets.token_hex(3)}"
        self._database = database
        self._faults = faults
        self._queues = list(dict.fromkeys(queues))
        self._fleeting = {} if fleeting is None else fleeting
        self._results = ResultTable()
        self._held: dict[Tag, Hold] = {}
        self._tag_of: dict[int, Tag] = {}
        self._serial = itertools.count(1)
        self._epochs = itertools.count(1)
        # Epochs whose reply was lost, of receives and of recoveries.
        self._unknown: set[int] = set()
        self._unknown_orphans: set[int] = set()
        self._lost: list[Tag] = []
        self._idle = False
        self._due: float | None = None
        self._seen = 0
        self._woken = False
        self._closed = False
        self._upkeep = upkeep.Upkeep(database)
        self._bell = database.bell(self.name)
        self._lease = Lease.take(self._lease_path(self.name))
        database.keep(self)
        try:
            with database.transaction() as tx:
                self._id = self._register(tx)
                self._facts = current_version(tx)
        except BaseException:
            self._leave()
            raise

    def _lease_path(self, name: str) -> Path:
        return directory_beside(self._database.path) / name

    def _register(self, tx: Transaction) -> int:
        ((id,),) = tx.execute(
            "INSERT INTO consumers (name, address) VALUES (?, ?) RETURNING id", (self.name, self._bell.address)
        ).fetchall()
        self._listen(tx, self._queues, id)
        return int(id)

    def _listen(self, tx: Transaction, queues: Sequence[str], id: int) -> None:
        tx.executemany("INSERT INTO listens VALUES (?, ?)", [(queue, id) for queue in queues])
        bindings.listen(tx, [self._fleeting[queue] for queue in queues if queue in self._fleeting])

    # Receiving

    def receive(self, limit: int, timeout: float) -> Received:
        self._faults.wait_while_paused()
        deadline = time.monotonic() + timeout
        while True:
            may_wait = not self._woken and time.monotonic() < deadline
            if (received := self._look(limit, may_wait=may_wait)) is not None:
                self._woken = False
                return received
            self._wait(deadline)

    def _look(self, limit: int, *, may_wait: bool) -> Received | None:
        """Reserve what there is. With nothing to tell and leave to wait: list us as idle, and return None."""
        database = self._database
        epoch = next(self._epochs)
        try:
            with database.transaction() as tx:
                facts = self._check_in(tx)
                messages.promote(tx, self._queues, database.clock())
                rows = messages.claim(tx, self._queues, limit, self._id, epoch) if limit > 0 and self._queues else []
                waits = may_wait and not (rows or self._lost or facts != self._facts)
                if waits:
                    self._due = messages.next_due(tx, self._queues)
                    self._seen = database.version_in(tx)
                self._list_as_idle(tx, waits and limit > 0)
            if not waits and self._faults.reply_is_lost():
                raise OperationalError(f"database {str(database.path)!r}: the reply was lost; receive again")
        except BaseException:
            # What failed may have been committed all the same.
            self._unknown.add(epoch)
            raise
        if waits:
            return None
        self._facts = facts
        deliveries = self._deliveries(rows, epoch)
        lost, self._lost = self._lost, []
        return Received(deliveries, lost, facts)

    def _wait(self, deadline: float) -> None:
        """Until there may be something to see: a ring, a message that is due, a change that nobody rang for."""
        database = self._database
        while not self._woken:
            waits = [deadline - time.monotonic(), NET_S]
            if self._due is not None:
                waits.append(self._due - database.clock())
            if (wait := min(waits)) <= 0:
                return
            if self._bell.wait(wait) or database.version() != self._seen:
                return

    def _list_as_idle(self, tx: Transaction, idle: bool) -> None:
        if idle:
            tx.execute("UPDATE consumers SET idle = 1 WHERE id = ? AND idle = 0", (self._id,))
        elif self._idle:
            tx.execute("UPDATE consumers SET idle = 0 WHERE id = ? AND idle = 1", (self._id,))
        self._idle = idle

    def _check_in(self, tx: Transaction) -> int:
        """Return what nobody knows of, and see whether we still are on record; gives the version of the facts."""
        if self._unknown:
            unknown = set(self._unknown)
            messages.release_unknown(tx, self._id, unknown)
            tx.settled.append(lambda: self._unknown.difference_update(unknown))
        ((facts, listed),) = tx.execute(
            "SELECT version, EXISTS (SELECT 1 FROM consumers WHERE id = ? AND name = ?) FROM facts_version",
            (self._id, self.name),
        ).fetchall()
        if not listed:
            self._start_over(tx)
        return int(facts)

    def _start_over(self, tx: Transaction) -> None:
        """Somebody took us for dead, and has what we held."""
        self._renew_lease()
        self._id = self._register(tx)
        held = list(self._held)
        tx.settled.append(lambda: self._lose(held))

    def _lose(self, tags: Iterable[Tag]) -> None:
        for tag in tags:
            if (hold := self._held.pop(tag, None)) is not None:
                self._tag_of.pop(hold[0], None)
                self._lost.append(tag)

    def _deliveries(self, rows: Sequence[Reserved], epoch: int) -> list[Delivery]:
        envelopes = open_envelopes([row.envelope for row in rows])
        deliveries = []
        for row, envelope in zip(rows, envelopes, strict=True):
            if (stale := self._tag_of.get(row.id)) is not None:
                self._lose([stale])  # nobody reserves what he still holds: that one was lost, and its id came back
            tag = f"{self.name}.{epoch}.{next(self._serial)}"
            self._held[tag] = row.id, epoch
            self._tag_of[row.id] = tag
            deliveries.append(Delivery(tag, row.queue, envelope, bool(row.redelivered), row.crashes, row.deliveries))
        return deliveries

    def wake(self) -> None:
        self._woken = True
        self._bell.ring()

    def listen_to(self, add: Sequence[str] = (), drop: Sequence[str] = ()) -> None:
        queues = list(dict.fromkeys([*(queue for queue in self._queues if queue not in drop), *add]))
        with self._database.transaction() as tx:
            tx.execute("DELETE FROM listens WHERE consumer = ?", (self._id,))
            self._listen(tx, queues, self._id)
            if drop:
                bindings.clear_deserted(tx)
        self._queues = queues

    # Holding

    def begin(self, tags: Tags, *, late: bool = False) -> Tags:
        self._faults.wait_while_paused()
        with self._database.transaction() as tx:
            known = self._known(tags)
            if messages.begin(tx, known.values(), self._id, late=late) != len(known):
                known = self._still_ours(tx, known)
        return [tag for tag in tags if tag not in known]

    def holds(self, tags: Tags) -> Tags:
        with self._database.transaction() as tx:
            ours = self._still_ours(tx, self._known(tags))
        return [tag for tag in tags if tag in ours]

    def renew(self) -> Tags:
        """The lease needs no renewal; this is when we see whether it is still ours, and keep the file in order."""
        self._faults.wait_while_paused()
        if self._closed:
            return []
        with self._database.transaction() as tx:
            self._check_in(tx)
            self._renew_lease()
            rows = messages.held_by(tx, self._id)
            gone = [tag for tag, hold in list(self._held.items()) if hold not in rows]
            tx.settled.append(lambda: self._lose(gone))
        self._upkeep.run()  # may fail, or take its time: what is lost is told afterwards, and only once
        lost, self._lost = self._lost, []
        return lost

    def _renew_lease(self) -> None:
        """Somebody may have cleared the directory."""
        if not self._lease.is_ours():
            lease = Lease.take(self._lease_path(self.name))
            self._lease.forget()
            self._lease = lease

    def recover(self) -> Recovered:
        self._faults.wait_while_paused()
        leases: list[Lease] = []
        try:
            dead = self._find_dead(leases)
            if not dead and not self._unknown_orphans:
                return Recovered()
            recovered = self._take_over(dead)
        except BaseException:
            for lease in leases:
                lease.forget()
            raise
        for lease in leases:
            lease.end()
        return recovered

    def _find_dead(self, leases: list[Lease]) -> list[int]:
        """The consumers whose lease can be taken, or is gone; and whatever holds messages without being listed."""
        dead: list[int] = []
        for id, name in self._database.read("SELECT id, name FROM consumers WHERE id <> ?", (self._id,)):
            try:
                lease = Lease.take_over(self._lease_path(name))
            except FileNotFoundError:
                dead.append(id)
                continue
            if lease is not None:
                leases.append(lease)
                dead.append(id)
        unlisted = self._database.read(
            "SELECT DISTINCT holder FROM messages WHERE holder IS NOT NULL AND holder NOT IN (SELECT id FROM consumers)"
        )
        return dead + [id for (id,) in unlisted if id != self._id]

    def _take_over(self, dead: Sequence[int]) -> Recovered:
        epoch = next(self._epochs)
        returned = 0
        orphans: list[Reserved] = []
        addresses: list[str] = []
        try:
            with self._database.transaction() as tx:
                self._check_in(tx)
                for consumer in dead:
                    returned += messages.release_all(tx, consumer, dead=True)
                    orphans += messages.inherit(tx, consumer, self._id, epoch)
                    tx.execute("DELETE FROM listens WHERE consumer = ?", (consumer,))
                    gone = tx.execute("DELETE FROM consumers WHERE id = ? RETURNING address", (consumer,)).fetchall()
                    addresses += [address for (address,) in gone]
                if dead:
                    bindings.clear_deserted(tx)
                for unknown in self._unknown_orphans:
                    orphans += messages.inherit(tx, self._id, self._id, epoch, of_epoch=unknown)
        except BaseException:
            self._unknown_orphans.add(epoch)
            raise
        self._unknown_orphans.clear()
        for address in addresses:
            self._database.doors().remove(address)
        return Recovered(returned, self._deliveries(orphans, epoch))

    # Ending

    def commits(self, backend: object) -> bool:
        """True for the result store in this very file."""
        table = getattr(backend, "table", None)
        database = getattr(backend, "database", None)
        if not isinstance(table, ResultTable) or not isinstance(database, Database):
            return False
        if not database.is_same_file(self._database):
            return False
        self._results = table
        return True

    def finish(self, batch: Sequence[Completion]) -> Sequence[Verdict]:
        self._faults.wait_while_paused()
        followups = [outgoing for completion in batch for outgoing in completion.followups]
        envelopes = _seal(followups)
        try:
            verdicts = self._finish(batch, envelopes, check=False)
        except _SomeLostError:
            verdicts = self._finish(batch, envelopes, check=True)
        self._database.checkpoint(WORKER_LOG_PAGES)
        return verdicts

    def _finish(self, batch: Sequence[Completion], envelopes: Mapping[int, bytes], *, check: bool) -> list[Verdict]:
        """One transaction. It supposes that all is ours still, as is nearly always so, and finds out by the count."""
        database = self._database
        with database.transaction() as tx:
            now = database.clock()
            known = self._known([completion.tag for completion in batch])
            if check:
                known = self._still_ours(tx, known)
            ours: dict[Tag, Completion] = {}
            for completion in batch:
                if completion.tag in known:
                    ours.setdefault(completion.tag, completion)
            rejected = {known[tag]: REJECTED for tag, completion in ours.items() if completion.how == "rejected"}
            if rejected:
                messages.copy_to_dead(tx, rejected, now)
            if messages.delete(tx, known.values(), self._id) != len(known):
                raise _SomeLostError
            followups = [outgoing for completion in ours.values() for outgoing in completion.followups]
            if followups:
                strays = messages.enqueue(tx, followups, [envelopes[id(outgoing)] for outgoing in followups], now)
                messages.bury_strays(tx, strays, now)
            records = [completion.record for completion in ours.values() if completion.record is not None]
            if records:
                self._results.store(tx, records, now)
            self._results.count(
                tx, [completion.part for completion in ours.values() if completion.part is not None], now
            )
            tx.settled.append(lambda: self._drop(known))
        # A tag that is named twice is finished once.
        return ["committed" if ours.pop(completion.tag, None) is not None else "lost" for completion in batch]

    def give_back(self, tags: Tags, *, crashed: bool = False, front: bool = True) -> None:
        self._faults.wait_while_paused()
        with self._database.transaction() as tx:
            ours = self._still_ours(tx, self._known(tags))
            messages.release(tx, list(ours.values()), crashed=crashed, front=front)
            tx.settled.append(lambda: self._drop(ours))

    def defer(self, due: Mapping[Tag, float]) -> None:
        self._faults.wait_while_paused()
        with self._database.transaction() as tx:
            ours = self._still_ours(tx, self._known(due))
            messages.postpone(tx, {hold: due[tag] for tag, hold in ours.items()})
            tx.settled.append(lambda: self._drop(ours))

    def bury(self, letters: Mapping[Tag, Burial]) -> None:
        self._faults.wait_while_paused()
        now = self._database.clock()
        with self._database.transaction() as tx:
            ours = self._still_ours(tx, self._known(letters))
            messages.copy_to_dead(tx, {hold: letters[tag] for tag, hold in ours.items()}, now)
            messages.delete(tx, ours.values(), self._id)
            records = [record for tag in ours if (record := letters[tag].record) is not None]
            if records:
                self._results.store(tx, records, now)
            tx.settled.append(lambda: self._drop(ours))

    def close(self) -> None:
        """What is begun stays on record: the next `recover` of anybody makes orphans of it."""
        if self._closed:
            return
        self._closed = True
        with self._database.transaction() as tx:
            messages.release_all(tx, self._id, dead=False)
            tx.execute("DELETE FROM listens WHERE consumer = ?", (self._id,))
            bindings.clear_deserted(tx)
            if messages.held_by(tx, self._id):
                tx.execute("UPDATE consumers SET idle = 0 WHERE id = ?", (self._id,))
            else:
                tx.execute("DELETE FROM consumers WHERE id = ?", (self._id,))
        self._held.clear()
        self._tag_of.clear()
        self._leave()

    def _leave(self) -> None:
        self._lease.end()
        self._bell.close()
        self._database.forgo(self)

    def forget(self) -> None:
        """In a forked child: the parent's lock ends with the parent only if we let go of our copy."""
        self._closed = True
        self._lease.forget()
        self._bell.forget()

    # What we know

    def _known(self, tags: Iterable[Tag]) -> dict[Tag, Hold]:
        return {tag: hold for tag in tags if (hold := self._held.get(tag)) is not None}

    def _still_ours(self, tx: Transaction, known: Mapping[Tag, Hold]) -> dict[Tag, Hold]:
        rows = messages.held_by(tx, self._id) if known else set()
        return {tag: hold for tag, hold in known.items() if hold in rows}

    def _drop(self, settled: Mapping[Tag, Hold]) -> None:
        for tag, (id, _) in settled.items():
            self._held.pop(tag, None)
            self._tag_of.pop(id, None)


class _SomeLostError(Exception):
    """Rolls a finish back that named what is not ours."""


def _seal(followups: Sequence[Outgoing]) -> dict[int, bytes]:
    """Envelopes by the `id()` of their message."""
    if not followups:
        return {}
    sealed = seal_envelopes([outgoing.message for outgoing in followups], [outgoing.route for outgoing in followups])
    return {id(outgoing): envelope for outgoing, envelope in zip(followups, sealed, strict=True)}
