"""The names of all keys: Kombu's for what both fleets share, `celery-rs.*` for what only ours know. Pure.

| key | type | what |
|---|---|---|
| `<queue>`, `<queue>SEP<step>` | list | ready messages of a priority step; consumers take from the right |
| `unacked` | hash | tag → `[envelope, "", queue]`: held, and what waits for its time |
| `unacked_index` | zset | tag → since when held (a stock worker restores what is older than its timeout) |
| `_kombu.binding.<exchange>` | set | what is bound to it |
| `celery-rs.begun` | hash | tag → record of what has begun under early acknowledgement |
| `celery-rs.held.<consumer>` | hash | tag → `h` held, `r` runs (late acknowledgement), `b` begun |
| `celery-rs.lost.<consumer>` | set | tags that were taken from it and that it has not been told of |
| `celery-rs.wait.<consumer>.<queue>` | list | what came while it waited; moved to a record at once |
| `celery-rs.alive` | zset | consumer → when its lease ends; 0: it has closed |
| `celery-rs.consumers` | hash | consumer → its queues (JSON), also those it once waited for |
| `celery-rs.consumers.gone` | hash | consumer taken for dead → when, its queues: it may only have been stopped |
| `celery-rs.delayed` | zset | what waits for its time, by when it is due: an index into `unacked` |
| `celery-rs.facts`, `.facts.order`, `.facts.version` | hash, zset, string | facts, by version |
| `celery-rs.once` | zset | ids that are not published again, until when |
| `celery-rs.dead`, `.dead.order`, `.dead.serial` | hash, zset, string | dead letters |
"""

import json
from bisect import bisect_right
from typing import TypeGuard

from celery_rs.transports.redis.options import RedisOptions

OURS = "celery-rs."
FIELD = b"crs."
"""Before a tag it is our field in `unacked`; Kombu reads the record and never the name."""
DELAYED_FIELD = b"crs.delay."


class Keys:
    """Keys of one broker: its options and the number of its database."""

    def __init__(self, options: RedisOptions, db: int) -> None:
        self.prefix = options.global_keyprefix
        self._options = options
        self._db = db
        self._steps = options.priority_steps
        self.index = self.name(options.unacked_index_key)
        self.unacked = self.name(options.unacked_key)
        self.begun, self.alive, self.consumers, self.delayed, self.facts_version, self.once = map(
            self.ours, ("begun", "alive", "consumers", "delayed", "facts.version", "once")
        )
        self.dead, self.dead_order, self.dead_serial = map(self.ours, ("dead", "dead.order", "dead.serial"))
        self.facts, self.facts_order = self.ours("facts"), self.ours("facts.order")
        self.held_of, self.lost_of, self.wait_of = self.ours("held."), self.ours("lost."), self.ours("wait.")
        self.fixed = (
            self.unacked, self.index, self.begun, self.alive, self.consumers, self.delayed, self.facts_version,
            self.once, self.dead, self.dead_order, self.dead_serial, self.held_of, self.lost_of, self.wait_of,
        )  # fmt: skip
        """The KEYS of every script, in the order of `lua/prelude.lua`."""
        self._queues: dict[tuple[str, int], bytes] = {}

    def name(self, plain: str) -> bytes:
        return f"{self.prefix}{plain}".encode()

    def ours(self, plain: str) -> bytes:
        return self.name(OURS + plain)

    def step(self, priority: int) -> int:
        """The step of the queue that a priority belongs to."""
        return self._steps[bisect_right(self._steps, min(max(priority, 0), 9)) - 1]

    @property
    def pattern_of_ours(self) -> bytes:
        """What finds every key that only we know."""
        return escaped(self.ours("")) + b"*"

    def queue(self, queue: str, priority: int = 0) -> bytes:
        """The list of a queue for messages of this priority."""
        key = self._queues.get((queue, priority))
        if key is None:
            if len(self._queues) > 4096:
                self._queues.clear()
            step = self.step(priority)
            key = self._queues[queue, priority] = self.name(f"{queue}{self._options.sep}{step}" if step else queue)
        return key

    def steps(self, queue: str) -> list[bytes]:
        """Its lists, the most urgent first."""
        return [self.queue(queue, step) for step in self._steps]

    @property
    def priorities(self) -> tuple[int, ...]:
        return self._steps

    def queue_of(self, key: bytes) -> str:
        """The queue that a list belongs to."""
        name = key.decode(errors="replace").removeprefix(self.prefix)
        queue, separator, step = name.rpartition(self._options.sep)
        return queue if separator and step.isdecimal() else name

    def binding(self, exchange: str) -> bytes:
        return self.name(f"_kombu.binding.{exchange}")

    def permanent_binding(self, exchange: str) -> bytes:
        return self.name(f"_kombu.binding_permanent.{exchange}")

    @property
    def binding_deadlines(self) -> bytes:
        return self.name("_kombu.binding_deadlines")

    def bound(self, routing_key: str, pattern: str, queue: str) -> str:
        """A member of a binding set."""
        return self._options.sep.join((routing_key, pattern, queue))

    def unbound(self, member: bytes) -> tuple[str, str, str] | None:
        """Routing key, pattern and queue of a member; None for one that nobody can have written on purpose."""
        parts = member.decode(errors="replace").split(self._options.sep)
        return (parts[0], parts[1], parts[2]) if len(parts) == 3 else None

    def channel(self, exchange: str, routing_key: str) -> str:
        """Where a broadcast is published."""
        prefix = self._options.fanout_prefix.format(db=self._db)
        name = f"{self.prefix}{prefix}{exchange}"
        return f"{name}/{routing_key}" if routing_key and self._options.fanout_patterns else name


def escaped(name: bytes) -> bytes:
    """As a pattern of Redis that means itself."""
    return b"".join(b"\\" + bytes([sign]) if sign in b"*?[]\\^" else bytes([sign]) for sign in name)


def is_name(value: object) -> TypeGuard[str]:
    """Whether it can be part of a key: half a surrogate pair, which JSON may hold, cannot."""
    try:
        return isinstance(value, str) and value.encode() is not None
    except UnicodeEncodeError:
        return False


def record_end(queue: str) -> bytes:
    """What stands after the envelope in a record: no exchange, since a restore routes it again."""
    return f', "", {json.dumps(queue)}]'.encode()


def open_record(record: bytes) -> tuple[bytes, str]:
    """Envelope and queue of a record, ours or Kombu's."""
    body, separator, queue = record.rpartition(b', "')
    envelope, _, _ = body.rpartition(b', "')
    if not separator or not record.startswith(b"["):
        return record, ""
    try:
        name = json.loads(b'"' + queue[:-1])
    except ValueError:
        return envelope[1:], ""
    return envelope[1:], name if is_name(name) else ""
