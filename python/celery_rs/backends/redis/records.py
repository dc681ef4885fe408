"""Records in a Redis: written so that none goes backwards, read many at a time.

A script writes by the rule where it can read what is there. Where it cannot (a pickle, something compressed), the
client reads the old record, applies the rule and has it replaced if it is still the same.
"""

import hashlib
from collections.abc import Collection, Iterator, Sequence

from celery_rs import states
from celery_rs.backends.peek import peek, read_record, standing
from celery_rs.backends.redis.client import Client
from celery_rs.errors import BackendError
from celery_rs.serializers import Serializer
from celery_rs.transports.redis import Link, ResultKeys, Script
from celery_rs.wire import TaskResult, supersedes

_AT_ONCE = 1000
_MOST_TRIES = 100


class Records:
    """Any thread. Raises BackendError."""

    def __init__(self, client: Client, keys: ResultKeys, serializer: Serializer) -> None:
        self._client = client
        self._keys = keys
        self._serializer = serializer

    def store(self, records: Sequence[TaskResult]) -> list[bool]:
        written: list[bool] = []
        for start in range(0, len(records), _AT_ONCE):
            some = records[start : start + _AT_ONCE]
            written += self._client.ask(lambda link, some=some: self._stored(link, some))  # type: ignore[misc]
        return written

    def _stored(self, link: Link, records: Sequence[TaskResult]) -> list[bool]:
        packed = [item for record in records for item in self._keys.storing(record)]
        verdicts = Script.STORE.run(link, (), 0, *packed).decode()
        return [
            self._replace(link, record) if verdict == "?" else verdict == "1"
            for record, verdict in zip(records, verdicts, strict=True)
        ]

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
            f"{self._client.server.words()}: others keep writing the record of task {record.task_id}; "
            "do several tasks share this id?"
        )

    def fetch(self, ids: Collection[str]) -> dict[str, TaskResult]:
        listed = list(ids)
        if not listed:
            return {}
        return self._client.ask(lambda link: {record.task_id: record for record in self._fetched(link, listed)})

    def _fetched(self, link: Link, ids: Sequence[str]) -> Iterator[TaskResult]:
        for start in range(0, len(ids), _AT_ONCE):
            some = ids[start : start + _AT_ONCE]
            for task_id, raw in zip(some, link.call(b"MGET", *map(self._keys.record, some)), strict=True):
                if raw is not None:
                    yield self.read(task_id, raw)

    def is_ready(self, raw: bytes) -> bool:
        told = peek(raw, self._serializer)
        return told is None or told.state in states.READY_STATES

    def read(self, task_id: str, raw: bytes) -> TaskResult:
        return read_record(task_id, raw, self._serializer)
