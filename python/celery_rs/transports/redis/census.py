"""What is where: counts by queue and state, what waits for its time, and the place of one task's message.

A Redis keeps no such account, so these questions look at everything they concern; people ask them, no message does.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from celery_rs._core import DecodeError, Envelope, open_envelopes
from celery_rs.transports.base import Delayed, QueueInfo, Whereabouts
from celery_rs.transports.redis.keys import OURS, Keys, escaped, open_record
from celery_rs.transports.redis.letters import counted
from celery_rs.transports.redis.link import Link
from celery_rs.transports.redis.redelivery import past
from celery_rs.transports.redis.server import Server
from celery_rs.transports.redis.skew import Skew

_AT_ONCE = 1000
_STATES = {b"h": "held", b"r": "held", b"b": "begun"}


class _Held(NamedTuple):
    holder: str | None
    state: str
    record: bytes


class _Waiting(NamedTuple):
    due: float
    key: bytes
    field: bytes


class Census:
    """Any thread."""

    def __init__(self, server: Server, keys: Keys, skew: Skew) -> None:
        self._server = server
        self._keys = keys
        self._skew = skew

    def queues(self, names: Sequence[str] | None) -> dict[str, QueueInfo]:
        """Of these queues, or of all that are known here."""
        with self._server.borrowed() as link:
            chosen = self._known_queues(link) if names is None else list(dict.fromkeys(names))
            counts: dict[str, Counter[str]] = {name: Counter() for name in chosen}
            lengths = link.pipeline([(b"LLEN", key) for name in chosen for key in self._keys.steps(name)])
            steps = len(self._keys.priorities)
            for place, name in enumerate(chosen):
                counts[name]["ready"] = sum(lengths[place * steps : (place + 1) * steps])
            now = self._now(link)
            for waiting in self._delayed(link):
                if (counter := counts.get(self._keys.queue_of(waiting.key))) is not None:
                    counter["ready" if waiting.due <= now else "delayed"] += 1
            for held in self._held(link):
                if (counter := counts.get(open_record(held.record)[1])) is not None:
                    counter[held.state] += 1
            consumers = self._consumers(link, now)
        dead = counted(self._server, self._keys)
        return {
            name: QueueInfo(
                ready=counter["ready"],
                held=counter["held"],
                begun=counter["begun"],
                delayed=counter["delayed"],
                dead=dead.get(name, 0),
                oldest=None,
                consumers=consumers[name],
            )
            for name, counter in counts.items()
        }

    def locate(self, task_ids: Collection[str]) -> dict[str, Whereabouts]:
        wanted = set(task_ids)
        found: dict[str, Whereabouts] = {}
        if not wanted:
            return found

        def note(
            envelope: Envelope | DecodeError, queue: str, state: str, holder: str | None, due: float | None
        ) -> None:
            if isinstance(envelope, Envelope) and envelope.id in wanted:
                before = past(envelope)
                deliveries = before.deliveries + (holder is not None)
                found[envelope.id] = Whereabouts(queue, state, holder, due, before.crashes, deliveries)  # type: ignore[arg-type]  # from a table of states

        with self._server.borrowed() as link:
            for name in self._known_queues(link):
                for key in self._keys.steps(name):
                    for envelopes in self._listed(link, key):
                        for envelope in envelopes:
                            note(envelope, name, "ready", None, None)
            now = self._now(link)
            for waiting, raw in self._delayed_records(link):
                envelope = open_envelopes([open_record(raw)[0]])[0]
                queue = self._keys.queue_of(waiting.key)
                if waiting.due <= now:
                    note(envelope, queue, "ready", None, None)
                else:
                    note(envelope, queue, "delayed", None, waiting.due)
            for held in self._held(link):  # last, since it counts
                raw, queue = open_record(held.record)
                note(open_envelopes([raw])[0], queue, held.state, held.holder or "", None)
        return found

    def delayed(self, queues: Sequence[str], limit: int) -> Sequence[Delayed]:
        wanted = set(queues)
        kept: list[Delayed] = []
        if not wanted:
            return kept
        with self._server.borrowed() as link:
            now = self._now(link)
            for waiting, raw in self._delayed_records(link):
                queue = self._keys.queue_of(waiting.key)
                if len(kept) == limit:
                    break
                if waiting.due > now and queue in wanted:
                    kept.append(Delayed(queue, waiting.due, open_envelopes([open_record(raw)[0]])[0]))
        return kept

    # Looking

    def _now(self, link: Link) -> float:
        skew = self._skew()
        seconds, microseconds = link.call(b"TIME")
        return int(seconds) + int(microseconds) / 1e6 + skew

    def _listed(self, link: Link, key: bytes) -> Iterator[list[Envelope | DecodeError]]:
        start = 0
        while raws := link.call(b"LRANGE", key, start, start + _AT_ONCE - 1):
            yield open_envelopes(raws)
            start += len(raws)

    def _delayed(self, link: Link) -> Iterator[_Waiting]:
        """Soonest first."""
        start = 0
        while flat := link.call(b"ZRANGE", self._keys.delayed, start, start + _AT_ONCE - 1, b"WITHSCORES"):
            for entry, score in zip(flat[::2], flat[1::2], strict=True):
                _, _, rest = entry.partition(b"|")
                key, _, field = rest.rpartition(b"|")
                yield _Waiting(float(score), key, field)
            start += len(flat) // 2

    def _delayed_records(self, link: Link) -> Iterator[tuple[_Waiting, bytes]]:
        batch: list[_Waiting] = []
        for waiting in self._delayed(link):
            batch.append(waiting)
            if len(batch) == _AT_ONCE:
                yield from self._with_records(link, batch)
                batch = []
        yield from self._with_records(link, batch)

    def _with_records(self, link: Link, batch: Sequence[_Waiting]) -> Iterator[tuple[_Waiting, bytes]]:
        records = link.call(b"HMGET", self._keys.unacked, *(each.field for each in batch)) if batch else []
        yield from ((each, raw) for each, raw in zip(batch, records, strict=True) if raw is not None)

    def _held(self, link: Link) -> Iterator[_Held]:
        """What consumers of ours hold, then what stock workers do."""
        keys = self._keys
        alive = link.call(b"ZRANGE", keys.alive, 0, -1)
        ours = 0
        for name in alive:
            flat = link.call(b"HGETALL", keys.held_of + name)
            pairs = list(zip(flat[::2], flat[1::2], strict=True))
            for start in range(0, len(pairs), _AT_ONCE):
                some = pairs[start : start + _AT_ONCE]
                fields = [b"crs." + tag for tag, _ in some]
                held, begun = link.pipeline([(b"HMGET", keys.unacked, *fields), (b"HMGET", keys.begun, *fields)])
                for (_, state), late, early in zip(some, held, begun, strict=True):
                    ours += late is not None
                    if (record := late or early) is not None:
                        yield _Held(name.decode(), _STATES[state], record)
        waiting, total = link.pipeline([(b"ZCARD", keys.delayed), (b"HLEN", keys.unacked)])
        if total > ours + waiting:
            yield from self._held_by_others(link)

    def _held_by_others(self, link: Link) -> Iterator[_Held]:
        cursor = b"0"
        while True:
            cursor, flat = link.call(b"HSCAN", self._keys.unacked, cursor, b"COUNT", _AT_ONCE)
            for field, record in zip(flat[::2], flat[1::2], strict=True):
                if not field.startswith(b"crs."):
                    yield _Held(None, "held", record)
            if cursor == b"0":
                return

    def _consumers(self, link: Link, now: float) -> Counter[str]:
        alive, told = link.pipeline(
            [(b"ZRANGEBYSCORE", self._keys.alive, f"({now:.6f}", b"+inf"), (b"HGETALL", self._keys.consumers)]
        )
        counts: Counter[str] = Counter()
        for name, queues in zip(told[::2], told[1::2], strict=True):
            if name in alive:
                counts.update(json.loads(queues)[0])
        return counts

    def _known_queues(self, link: Link) -> list[str]:
        """Those that are bound, that hold something, or whose messages wait."""
        keys = self._keys
        names: set[str] = set()
        for key in self._scan(link, b"set", keys.name("_kombu.binding.")):
            for member in link.call(b"SMEMBERS", key):
                bound = keys.unbound(member)
                if bound is not None:
                    names.add(bound[2])
        # Celery's own lists hold replies, ours what is on its way to a record.
        names |= {keys.queue_of(key) for key in self._scan(link, b"list", keys.name(""))}
        names |= {keys.queue_of(waiting.key) for waiting in self._delayed(link)}
        names |= set(counted(self._server, keys))
        return sorted(name for name in names if not name.startswith(OURS) and not name.endswith(".pidbox"))

    def _scan(self, link: Link, kind: bytes, prefix: bytes) -> Iterator[bytes]:
        cursor = b"0"
        while True:
            cursor, found = link.call(
                b"SCAN", cursor, b"MATCH", escaped(prefix) + b"*", b"COUNT", _AT_ONCE, b"TYPE", kind
            )
            yield from found
            if cursor == b"0":
                return
