"""Results in a Redis, as Celery keeps them: a record is a string under the task's id, and is published there."""

import secrets
import time
from collections.abc import Collection, Iterator, Sequence
from typing import Literal

from celery_rs import states
from celery_rs.backends.base import ChordClaim
from celery_rs.backends.redis.chords import RedisChordClaim, read_part
from celery_rs.backends.redis.client import Client, in_words_of_the_store
from celery_rs.backends.redis.ear import Ear
from celery_rs.backends.redis.records import Records
from celery_rs.serializers import JSON, Serializer
from celery_rs.transports.redis import Command, ResultKeys, Script, Server
from celery_rs.wire import ChordPart, TaskResult

_AT_ONCE = 1000
_FEW = 100
"""Of more than that most may be there: asking first is cheaper than subscribing to all."""
PAUSES = (0.0, *(1.0 for _ in range(19)))
"""How long a wait goes on without its store, as in Celery."""


class RedisBackend:
    """See `backends.base.ResultBackend`. `serializer` is what records are written by; `pauses` are those between
    the tries to connect again in mid-wait.

    `Consumer.finish` of the same database writes to `keys` in its own script.
    """

    place: Literal["parent", "child"] = "parent"

    def __init__(
        self,
        server: Server,
        keys: ResultKeys,
        serializer: Serializer = JSON,
        *,
        pauses: Sequence[float] = PAUSES,
        asks_again: bool = False,
    ) -> None:
        self.server = server
        self.keys = keys
        self._client = Client(server, asks_again)
        self._records = Records(self._client, keys, serializer)
        self._ear = Ear(server, self._records.is_ready, pauses)

    def store(self, records: Sequence[TaskResult]) -> Sequence[bool]:
        return self._records.store(records)

    def fetch(self, ids: Collection[str]) -> dict[str, TaskResult]:
        return self._records.fetch(ids)

    def watch(self, ids: Collection[str], timeout: float | None) -> Iterator[TaskResult]:
        deadline = None if timeout is None else time.monotonic() + timeout
        awaited = {self.keys.record(task_id): task_id for task_id in ids}
        if len(awaited) > _FEW or (timeout is not None and timeout <= 0):
            yield from self._take_ready(awaited)
        if not awaited or (deadline is not None and time.monotonic() >= deadline):
            return
        with in_words_of_the_store():
            wait = self._ear.join(list(awaited))
        try:
            while awaited:
                with in_words_of_the_store():
                    news = self._ear.hear(wait, deadline)
                if not news:
                    break
                for key, raw in news:
                    if key in awaited:
                        yield self._records.read(awaited.pop(key), raw)
            if awaited and not wait.looked:
                yield from self._take_ready(awaited)
        finally:
            self._ear.leave(wait)

    def _take_ready(self, awaited: dict[bytes, str]) -> list[TaskResult]:
        """Those that are there already; they are awaited no more."""
        ready = [
            record for record in self.fetch(list(awaited.values())).values() if record.state in states.READY_STATES
        ]
        for record in ready:
            del awaited[self.keys.record(record.task_id)]
        return ready

    def forget(self, ids: Collection[str]) -> None:
        keys = [self.keys.record(task_id) for task_id in ids]
        commands = [(b"DEL", *keys[start : start + _AT_ONCE]) for start in range(0, len(keys), _AT_ONCE)]
        if commands:
            self._client.ask(lambda link: link.pipeline(commands))

    def save_group(self, group: str, meta: bytes) -> None:
        kept = self.keys.kept_ms()
        lasting = (b"PX", kept) if kept else ()
        self._client.ask(lambda link: link.call(b"SET", self.keys.group(group), meta, *lasting))

    def fetch_group(self, group: str) -> bytes | None:
        found: bytes | None = self._client.ask(lambda link: link.call(b"GET", self.keys.group(group)))
        return found

    def forget_group(self, group: str) -> None:
        self._client.ask(lambda link: link.call(b"DEL", self.keys.group(group)))

    def cleanup(self) -> None:
        """A Redis drops by itself what has expired."""

    # Chords

    def open_chord(self, group: str, size: int) -> None:
        key, kept = self.keys.group(group), self.keys.kept_ms()
        lasting = (b"PX", kept) if kept else ()
        commands: list[Command] = [(b"DEL", key + b".c"), (b"SET", key + b".s", size, *lasting)]
        self._client.ask(lambda link: link.pipeline(commands))

    def claim_chords(self, parts: Sequence[ChordPart], claim_s: float) -> Sequence[ChordClaim]:
        if not parts:
            return []
        token = secrets.token_hex(8)
        groups = {self.keys.group(part.group): part.group for part in parts}
        packed = [item for part in parts for item in self.keys.counting(part)]
        lasting = round(claim_s * 1000)
        flat = self._client.ask(lambda link: Script.CLAIM.run(link, (), 0, token, lasting, *packed))
        claims: list[ChordClaim] = []
        for key, scored in zip(flat[::2], flat[1::2], strict=True):
            group = groups[key]
            counted = [read_part(group, *pair) for pair in zip(scored[::2], scored[1::2], strict=True)]
            claims.append(RedisChordClaim(self._client, self.keys, group, counted, token, claim_s))
        return claims

    # The end

    def describe(self) -> str:
        return self.server.describe()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.describe()}>"

    def after_fork(self) -> None:
        self._ear.after_fork()
        self.server.after_fork()

    def close(self) -> None:
        self._ear.close()
        self.server.close()
