"""Results in a MongoDB, as Celery keeps them: a document per task and per saved group."""

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, Literal, NamedTuple

from celery_rs.backends.base import ChordClaim
from celery_rs.backends.chord_book import ChordBook
from celery_rs.backends.looking import Patient, watch_by_looking
from celery_rs.backends.mongodb.client import Client, Database, Unreachable, refuses_credentials
from celery_rs.backends.mongodb.documents import DocumentCodec
from celery_rs.backends.mongodb.driver import errors, raw_bson
from celery_rs.backends.mongodb.pages import COLLECTION as CHORDS
from celery_rs.backends.mongodb.pages import Pages
from celery_rs.backends.mongodb.records import Records
from celery_rs.wire import ChordPart, TaskResult

logger = logging.getLogger(__name__)


class Collections(NamedTuple):
    """Their names."""

    tasks: str = "celery_taskmeta"
    groups: str = "celery_groupmeta"


class MongoBackend:
    """See `backends.base.ResultBackend`."""

    place: Literal["parent", "child"] = "child"

    def __init__(
        self,
        client: Client,
        collections: Collections,
        codec: DocumentCodec,
        *,
        clock: Callable[[], float] = time.time,
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        self._client = client
        self._collections = collections
        self._codec = codec
        self._clock = clock
        self._wait = wait
        self._records = Records(client, collections.tasks, codec, clock)
        self._pages = Pages(client, codec.expiry, clock)
        self._book = ChordBook(self._pages.change, clock)
        self._indexing = threading.Lock()
        self._is_indexed = False

    # Records

    def store(self, records: Sequence[TaskResult]) -> Sequence[bool]:
        if not records:
            return []
        self._have_indexes()
        return self._records.store(records)

    def fetch(self, ids: Collection[str]) -> dict[str, TaskResult]:
        return self._records.fetch(ids)

    def watch(self, ids: Collection[str], timeout: float | None) -> Iterator[TaskResult]:
        """A store that goes away in mid-wait is waited for, some time."""
        return watch_by_looking(Patient(self._records.fetch, Unreachable), ids, timeout, self._wait)

    def forget(self, ids: Collection[str]) -> None:
        self._records.forget(ids)

    # Groups and chords

    def save_group(self, group: str, meta: bytes) -> None:
        self._have_indexes()
        document = raw_bson.RawBSONDocument(self._codec.group(group, meta, self._clock()))
        self._client.ask(lambda database: self._groups(database).replace_one({"_id": group}, document, upsert=True))

    def fetch_group(self, group: str) -> bytes | None:
        found = self._client.ask(lambda database: self._groups(database).find_one({"_id": group}))
        if found is None or self._codec.expiry.is_gone(found, self._clock()):
            return None
        return self._codec.read_group(found)

    def forget_group(self, group: str) -> None:
        self._client.ask(lambda database: self._groups(database).delete_one({"_id": group}))

    def open_chord(self, group: str, size: int) -> None:
        self._book.open_chord(group, size)

    def claim_chords(self, parts: Sequence[ChordPart], claim_s: float) -> Sequence[ChordClaim]:
        return self._book.claim_chords(parts, claim_s)

    # Upkeep

    def cleanup(self) -> None:
        gone = self._codec.expiry.gone(self._clock())
        self._records.cleanup()
        self._client.ask(lambda database: self._groups(database).delete_many(gone))
        self._pages.cleanup()

    def _have_indexes(self) -> None:
        """By the dates that expiry goes by: Celery's, and ours, by which the server drops what has expired.

        A user who may not make indexes has results all the same.
        """
        if self._is_indexed:
            return
        with self._indexing:
            if not self._is_indexed:
                self._client.ask(self._make_indexes)
                self._is_indexed = True

    def _make_indexes(self, database: Database) -> None:
        try:
            for name in self._collections:
                database[name].create_index("date_done", background=True)  # in Celery's very words
            for name in (*self._collections, CHORDS):
                database[name].create_index("expires_at", expireAfterSeconds=0)
        except errors.OperationFailure as error:
            if refuses_credentials(error):
                raise
            logger.warning(
                "result store %s: no index by dates (%s); celery.backend_cleanup deletes slowly what has expired",
                self.describe(),
                " ".join(str((error.details or {}).get("errmsg", error)).split())[:200],
            )

    def _groups(self, database: Database) -> Any:
        return database[self._collections.groups]

    # The end

    def describe(self) -> str:
        return self._client.place.shown

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.describe()}>"

    def after_fork(self) -> None:
        self._indexing = threading.Lock()
        self._client.after_fork()

    def close(self) -> None:
        self._client.close()
