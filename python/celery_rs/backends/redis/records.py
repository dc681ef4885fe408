"""Records in a Redis: written so that none goes backwards, read many at a time.

A script writes by the rule where it can read what is there. Where it cannot (a pickle, something compressed), the
client reads the old record, applies the rule and has it replaced if it is still the same.
"""

import hashlib
from collections.abc import Collection, Iterator, Sequence

from celery_rs import states
from celery_rs.backends.redis.peek import peek, standing
from celery_rs.errors import BackendError
from celery_rs.serializers import Serializer
from celery_rs.transports.redis import Link, ResultKeys, Script, Server, without_attempt
from celery_rs.wire import TaskResult, supersedes

_AT_ONCE = 1000
_MOST_TRIES = 100


class Records:
    """Any thread. Raises OperationalError."""

    def __init__(self, server: Server, keys: ResultKeys, serializer: Serializer) -> None:
        self._server = server
        self._keys = keys
        self._serializer = serializer

    def store(self, records: Sequence[TaskResult]) -> list[bool]:
        written: list[bool] = []
        with self._server.borrowed() as link:
            for start in range(0, len(records), _AT_ONCE):
                some = records[start : start + _AT_ONCE]
                packed = [item for record in some for item in self._keys.storing(record)]
                verdicts = Script.STORE.run(link, (), 0, *packed).decode()
                written += [
                    self._replace(link, record) if verdict == "?" else verdict == "1"
                    for record, verdict in zip(some, verdicts, strict=True)
                ]
        return written

    def _replace(self, link: Link, record: TaskResult) -> bool:
        """Over a record that no script can read, by comparing and setting."""
        packed = self._keys.storing(record)
        for _ in range(_MOST_TRIES):
            old = link.call(b"GET", packed[0])
            if old is not None:
                over = standing(old, self._serializer)
                if not supersedes(record.state, record.attempt, over=over.state, over_attempt=over.attempt):
                    return False
            seen = b"" if old is None else hashlib.sha1(old, usedforsecurity=False).hexdigest().encode()
            if Script.REPLACE.run(link, (), 0, seen, *packed) == b"1":
                return True
        raise BackendError(
            f"result store {self._server.describe()}: the record of task {record.task_id} is being written again and "
            "again by others; is one id used by several tasks?"
        )

    def fetch(self, ids: Collection[str]) -> dict[str, TaskResult]:
        with self._server.borrowed() as link:
            return {record.task_id: record for record in self._fetched(link, list(ids))}

    def _fetched(self, link: Link, ids: Sequence[str]) -> Iterator[TaskResult]:
        for start in range(0, len(ids), _AT_ONCE):
            some = ids[start : start + _AT_ONCE]
            for task_id, raw in zip(some, link.call(b"MGET", *map(self._keys.record, some)), strict=True):
                if raw is not None:
                    yield self.read(task_id, raw)

    def read(self, task_id: str, raw: bytes) -> TaskResult:
        """What cannot be read counts as ready: whoever waits for it is told what is wrong with it."""
        told = peek(raw, self._serializer)
        if told is None:
            return TaskResult(task_id, states.FAILURE, 0, raw)
        return TaskResult(task_id, told.state, told.attempt, without_attempt(raw)[0])
