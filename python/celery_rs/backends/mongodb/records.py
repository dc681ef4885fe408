"""Records as documents: written in bulk by filters that state the rule, so that none goes backwards.

A record that no document can hold is told of by a failure in its place: it would be tried again for ever.
"""

import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from celery_rs import states
from celery_rs.backends.mongodb.client import Client, Database
from celery_rs.backends.mongodb.documents import DocumentCodec, is_text
from celery_rs.backends.mongodb.driver import errors, pymongo, raw_bson
from celery_rs.backends.mongodb.rule import Filter, likely, replaceable
from celery_rs.errors import BackendError, BackendStoreError, ContentError, EncodeError
from celery_rs.wire import TaskResult

logger = logging.getLogger(__name__)

_IDS_AT_ONCE = 1000
_EXISTS = 11000


class Write(NamedTuple):
    """What is sent for one record: the document, and which one it may replace: most likely, and at all."""

    task_id: str
    likely: Filter
    filter: Filter
    document: bytes


class Records:
    """Any thread. Raises BackendError."""

    def __init__(
        self, client: Client, collection: str, codec: DocumentCodec, clock: Callable[[], float] = time.time
    ) -> None:
        self._client = client
        self._collection = collection
        self._codec = codec
        self._clock = clock

    def store(self, records: Sequence[TaskResult]) -> list[bool]:
        now = self._clock()
        made = {place: self._write(record, now) for place, record in enumerate(records)}
        written = [False] * len(records)
        for writes in _rounds({place: write for place, write in made.items() if write is not None}):
            refused = self._send(list(writes.values()))
            for number, place in enumerate(writes):
                written[place] = number not in refused
        return written

    def _write(self, record: TaskResult, now: float) -> Write | None:
        """None where there is nothing to be said."""
        try:
            return self._document(record, now)
        except (ContentError, EncodeError) as error:
            logger.error("the record %s of task %s cannot be stored: %s", record.state, ascii(record.task_id), error)
            if record.state not in states.READY_STATES:
                return None
            told = BackendStoreError(f"the record {record.state} cannot be stored: {error}")
            return self._instead(self._codec.failure(record.task_id, record.attempt, told, done=now), now)

    def _instead(self, failure: TaskResult, now: float) -> Write | None:
        try:
            return self._document(failure, now)
        except EncodeError as error:
            logger.error("nor can task %s be told so: %s", ascii(failure.task_id), error)
            return None

    def _document(self, record: TaskResult, now: float) -> Write:
        named = {"_id": record.task_id}
        may = [*replaceable(record.state, record.attempt)["$or"], *self._codec.expiry.gone(now)["$or"]]
        return Write(
            record.task_id,
            {**named, **likely(record.state, record.attempt)},
            {**named, "$or": may},
            self._codec.document(record, now),
        )

    def _send(self, writes: Sequence[Write]) -> set[int]:
        """Which of them were refused.

        An insert fails where there is a document that may not be replaced, and where it loses a race against another
        insert. What has failed by the likely filter is asked again by all of the rule: by then there is a document.
        """
        first = [(write.likely, write.document) for write in writes]
        left = self._client.ask(lambda database: self._refused(database, first))
        again = [(writes[number].filter, writes[number].document) for number in left]
        if not again:
            return set()
        return {left[place] for place in self._client.ask(lambda database: self._refused(database, again))}

    def _refused(self, database: Database, writes: Sequence[tuple[Filter, bytes]]) -> list[int]:
        requests: list[Any] = [
            pymongo.ReplaceOne(which, raw_bson.RawBSONDocument(document), upsert=True) for which, document in writes
        ]
        try:
            database[self._collection].bulk_write(requests, ordered=False)
        except errors.BulkWriteError as error:
            return self._places_of(error)
        return []

    def _places_of(self, error: errors.BulkWriteError) -> list[int]:
        """Raises BackendError where anything else is the matter than that there is a newer document."""
        details: dict[str, Any] = dict(error.details or {})
        failed: list[dict[str, Any]] = details.get("writeErrors", [])
        others = [one for one in failed if one.get("code") != _EXISTS] + details.get("writeConcernErrors", [])
        if others:
            said = " ".join(str(others[0].get("errmsg")).split())[:300]
            raise BackendError(f"result store {self._client.place.shown} refuses a record: {said}")
        return [one["index"] for one in failed]

    def fetch(self, ids: Collection[str]) -> dict[str, TaskResult]:
        now = self._clock()
        found: dict[str, TaskResult] = {}
        for some in _some(ids):
            wanted = {"_id": {"$in": some}}
            for document in self._client.ask(lambda database, wanted=wanted: self._found(database, wanted)):  # type: ignore[misc]
                if not self._codec.expiry.is_gone(document, now):
                    found[document["_id"]] = self._codec.record(document)
        return found

    def _found(self, database: Database, wanted: Filter) -> list[Any]:
        return list(database[self._collection].find(wanted))

    def forget(self, ids: Collection[str]) -> None:
        for some in _some(ids):
            self._delete({"_id": {"$in": some}})

    def cleanup(self) -> None:
        self._delete(self._codec.expiry.gone(self._clock()))

    def _delete(self, which: Filter) -> None:
        self._client.ask(lambda database: database[self._collection].delete_many(which))


def _rounds(writes: Mapping[int, Write]) -> list[dict[int, Write]]:
    """Which go into one bulk, by their places: no id twice, since a bulk has no order."""
    rounds: list[dict[int, Write]] = []
    seen: dict[str, int] = {}
    for place, write in writes.items():
        number = seen[write.task_id] = seen.get(write.task_id, -1) + 1
        if number == len(rounds):
            rounds.append({})
        rounds[number][place] = write
    return rounds


def _some(ids: Collection[str]) -> Iterator[list[str]]:
    """Those that a document can have."""
    listed = [task_id for task_id in ids if is_text(task_id)]
    for start in range(0, len(listed), _IDS_AT_ONCE):
        yield listed[start : start + _IDS_AT_ONCE]
