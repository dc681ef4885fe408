"""Chords as documents of our own: one page per group (`chord_book.py`), changed by comparing and setting."""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from celery_rs.backends.chord_book import Step
from celery_rs.backends.mongodb.client import Client, Database
from celery_rs.backends.mongodb.documents import MOST_BYTES
from celery_rs.backends.mongodb.driver import errors
from celery_rs.backends.mongodb.expiry import Expiry
from celery_rs.errors import BackendError
from celery_rs.wire import instant

COLLECTION = "celery_rs_chords"
_MOST_TRIES = 100
_ROOM = 4096
"""For what a document has beside its page."""


class Pages:
    """Any thread. Raises BackendError."""

    def __init__(self, client: Client, expiry: Expiry, clock: Callable[[], float] = time.time) -> None:
        self._client = client
        self._expiry = expiry
        self._clock = clock

    def change(self, group: str, step: Step) -> None:
        """See `chord_book.Change`."""
        for _ in range(_MOST_TRIES):
            if self._client.ask(lambda database: self._changed(database, group, step)):
                return
        raise BackendError(f"result store {self._client.place.shown}: others keep changing the chord {group!r}")

    def _changed(self, database: Database, group: str, step: Step) -> bool:
        """False where somebody came before."""
        now = self._clock()
        pages = database[COLLECTION]
        there = pages.find_one({"_id": group})
        page = step(None if there is None or _is_gone(there, now) else there["page"])
        if page is None:
            return True
        if len(page) > MOST_BYTES - _ROOM:
            raise BackendError(
                f"result store {self._client.place.shown}: the results of chord {group!r} have {len(page)} bytes, and "
                f"a document has {MOST_BYTES} at most; have its tasks return less, or use a redis:// result store"
            )
        document = {"_id": group, "page": page, **self._expiry.field(now)}
        if there is not None:
            return bool(pages.replace_one({"_id": group, "page": there["page"]}, document).matched_count)
        try:
            pages.insert_one(document)
        except errors.DuplicateKeyError:
            return False
        return True

    def cleanup(self) -> None:
        gone = {"expires_at": {"$lte": instant(self._clock())}}
        self._client.ask(lambda database: database[COLLECTION].delete_many(gone))


def _is_gone(document: dict[str, Any], now: float) -> bool:
    expires: datetime | None = document.get("expires_at")
    return expires is not None and expires <= instant(now)
