"""Results in a Redis, as Celery keeps them: a record is a string under the task's id, and is published there."""

import json
import time
from collections.abc import Collection, Iterator, Sequence
from typing import Literal

from celery_rs import states
from celery_rs.transports.redis import Keys, RedisOptions, ResultKeys, Script, Server, without_attempt
from celery_rs.wire import TaskResult


class RedisBackend:
    """See `backends.base.ResultBackend`."""

    place: Literal["parent", "child"] = "parent"

    def __init__(self, server: Server, keys: ResultKeys) -> None:
        self.server = server
        self.keys = keys
        self._fixed = Keys(RedisOptions(), server.place.db).fixed

    def store(self, records: Sequence[TaskResult]) -> Sequence[bool]:
        packed = [item for record in records for item in self.keys.storing(record)]
        with self.server.borrowed() as link:
            return [verdict == "1" for verdict in Script.STORE.run(link, self._fixed, 0, *packed).decode()]

    def fetch(self, ids: Collection[str]) -> dict[str, TaskResult]:
        wanted = list(ids)
        if not wanted:
            return {}
        with self.server.borrowed() as link:
            raws = link.call(b"MGET", *map(self.keys.record, wanted))
        return {id: self._record(id, raw) for id, raw in zip(wanted, raws, strict=True) if raw is not None}

    def _record(self, task_id: str, raw: bytes) -> TaskResult:
        meta, attempt = without_attempt(raw)
        return TaskResult(task_id, json.loads(meta)["status"], attempt, meta)

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
        with self.server.borrowed() as link:
            link.call(b"DEL", *map(self.keys.record, ids))

    def close(self) -> None:
        self.server.close()
