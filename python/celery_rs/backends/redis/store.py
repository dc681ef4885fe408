"""Results in a Redis, as Celery keeps them: a record is a string under the task's id, and is published there."""

import secrets
import time
from collections.abc import Collection, Iterator, Sequence
from typing import Literal

from celery_rs import states
from celery_rs.backends.base import ChordClaim
from celery_rs.backends.redis.chords import RedisChordClaim, read_part
from celery_rs.backends.redis.records import Records
from celery_rs.backends.redis.words import in_words_of_the_store
from celery_rs.serializers import JSON, Serializer
from celery_rs.transports.redis import ResultKeys, Script, Server
from celery_rs.wire import ChordPart, TaskResult

_AT_ONCE = 1000


class RedisBackend:
    """See `backends.base.ResultBackend`. `serializer` is what records are written by.

    `Consumer.finish` of the same database writes to `keys` in its own script.
    """

    place: Literal["parent", "child"] = "parent"

    def __init__(self, server: Server, keys: ResultKeys, serializer: Serializer = JSON) -> None:
        self.server = server
        self.keys = keys
        self._records = Records(server, keys, serializer)

    def store(self, records: Sequence[TaskResult]) -> Sequence[bool]:
        with in_words_of_the_store():
            return self._records.store(records)

    def fetch(self, ids: Collection[str]) -> dict[str, TaskResult]:
        with in_words_of_the_store():
            return self._records.fetch(ids)

    def watch(self, ids: Collection[str], timeout: float | None) -> Iterator[TaskResult]:
        deadline = None if timeout is None else time.monotonic() + timeout
        awaited = set(ids)
        while True:
            for record in self.fetch(awaited).values():
                if record.state in states.READY_STATES:
                    awaited.discard(record.task_id)
                    yield record
            if not awaited or (deadline is not None and time.monotonic() >= deadline):
                return
            time.sleep(0.01)

    def forget(self, ids: Collection[str]) -> None:
        listed = list(ids)
        with in_words_of_the_store(), self.server.borrowed() as link:
            link.pipeline(
                [
                    (b"DEL", *map(self.keys.record, listed[start : start + _AT_ONCE]))
                    for start in range(0, len(listed), _AT_ONCE)
                ]
            )

    def cleanup(self) -> None:
        """A Redis drops by itself what has expired."""

    # Chords

    def open_chord(self, group: str, size: int) -> None:
        key, kept = self.keys.group(group), self.keys.kept_ms()
        lasting = (b"PX", kept) if kept else ()
        with in_words_of_the_store(), self.server.borrowed() as link:
            link.pipeline([(b"DEL", key + b".c"), (b"SET", key + b".s", size, *lasting)])

    def claim_chords(self, parts: Sequence[ChordPart], claim_s: float) -> Sequence[ChordClaim]:
        if not parts:
            return []
        token = secrets.token_hex(8)
        groups = {self.keys.group(part.group): part.group for part in parts}
        packed = [item for part in parts for item in self.keys.counting(part)]
        with in_words_of_the_store(), self.server.borrowed() as link:
            flat = Script.CLAIM.run(link, (), 0, token, round(claim_s * 1000), *packed)
        claims: list[ChordClaim] = []
        for key, scored in zip(flat[::2], flat[1::2], strict=True):
            group = groups[key]
            counted = [read_part(group, *pair) for pair in zip(scored[::2], scored[1::2], strict=True)]
            claims.append(RedisChordClaim(self.server, self.keys, group, counted, token, claim_s))
        return claims

    # The end

    def describe(self) -> str:
        return self.server.describe()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.describe()}>"

    def after_fork(self) -> None:
        self.server.after_fork()

    def close(self) -> None:
        self.server.close()
