"""The result store `django-cache`: one of the project's caches, on Celery's keys.

A record lies there as an object, as django-celery-results keeps it; how it is written is the cache's affair. Django's
caches cannot compare and set: the rule is applied to what has just been read, under a lock of this process only.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Literal, NoReturn, TypeVar

from celery_rs import states
from celery_rs.backends.base import ChordClaim
from celery_rs.backends.django.inherited import forget_inherited
from celery_rs.backends.django.needed import expect_a_project, of_django
from celery_rs.backends.looking import watch_by_looking
from celery_rs.backends.opening import Opening
from celery_rs.errors import (
    BackendError,
    BackendStoreError,
    CeleryError,
    ContentError,
    ImproperlyConfigured,
    NotSupported,
)
from celery_rs.serializers import Serializer
from celery_rs.wire import ChordPart, TaskResult, encode_failure, encode_meta, read_meta, supersedes

_caches = of_django("django.core.cache")

T = TypeVar("T")

logger = logging.getLogger("celery.backends.django")

_LARGE = 500_000
"""Bytes: a memcached takes a megabyte unless told otherwise."""
_RECORD = "celery-task-meta-"
_GROUP = "celery-taskset-meta-"


class DjangoCacheBackend:
    """See `backends.base.ResultBackend`."""

    place: Literal["parent", "child"] = "child"

    def __init__(self, opening: Opening) -> None:
        self._alias = opening.settings.get("cache_backend") or "default"
        self._codec = opening.codec._replace(compression=None)
        self._own = opening.read_by
        self._expires = opening.expires
        self._failure_expires = opening.failure_expires
        self._lock = threading.Lock()

    def store(self, records: Sequence[TaskResult]) -> Sequence[bool]:
        with self._lock:
            try:
                return self._ask(lambda cache: self._store(cache, records))
            except BackendError:
                if all(len(record.meta) < _LARGE for record in records):
                    raise
            # The cache is down, or one of them is too large for it.
            return [self._store_alone(record) for record in records]

    def _store_alone(self, record: TaskResult) -> bool:
        """A result that is too large is a failure that says so; progress that is too large is not kept."""
        try:
            return self._ask(lambda cache: self._store(cache, [record])[0])
        except BackendError as error:
            if len(record.meta) < _LARGE:
                raise
            problem = f"{error}: the record of task {record.task_id} has {len(record.meta)} bytes"
        if record.state in states.READY_STATES:
            failed = self._failure(record.task_id, BackendStoreError(problem))._replace(attempt=record.attempt)
            self._ask(lambda cache: self._store(cache, [failed]))
        logger.error("%s", problem)
        return False

    def _store(self, cache: Any, records: Sequence[TaskResult]) -> list[bool]:
        known = cache.get_many([_RECORD + record.task_id for record in records])
        written: list[bool] = []
        kept: dict[str, Any] = {}
        failed: dict[str, Any] = {}
        for record in records:
            key = _RECORD + record.task_id
            over = _standing(known.get(key))
            counts = over is None or supersedes(record.state, record.attempt, over=over[0], over_attempt=over[1])
            if counts:
                known[key] = _object(record, self._own)
                is_failure = record.state == states.FAILURE
                (failed if is_failure else kept)[key] = known[key]
                (kept if is_failure else failed).pop(key, None)
            written.append(counts)
        refused = [*self._set(cache, kept, self._expires), *self._set(cache, failed, self._expiry_of_failures())]
        if refused:
            raise BackendError(f"{self.describe()}: the cache refused {len(refused)} record(s)")
        return written

    def _set(self, cache: Any, objects: Mapping[str, Any], seconds: float | None) -> list[str]:
        return list(cache.set_many(objects, timeout=seconds) or ()) if objects else []

    def _expiry_of_failures(self) -> float | None:
        return self._expires if self._failure_expires is None else self._failure_expires or None

    def fetch(self, ids: Collection[str]) -> dict[str, TaskResult]:
        found = self._ask(lambda cache: cache.get_many([_RECORD + id for id in ids]))
        return {id: self._record(id, found[_RECORD + id]) for id in ids if _RECORD + id in found}

    def _record(self, task_id: str, kept: object) -> TaskResult:
        """What cannot be read counts as a failure: whoever waits for it is told what is wrong with it."""
        try:
            told, attempt = _told(kept, self._own)
            if attempt and not self._codec.is_plain:
                told["attempt"] = attempt
            return TaskResult(task_id, told["status"], attempt, self._own.dumps(told, "the record"))
        except CeleryError as error:
            return self._failure(task_id, error)

    def _failure(self, task_id: str, error: Exception) -> TaskResult:
        failure = encode_failure(error, self._own)
        meta = encode_meta(task_id, states.FAILURE, failure, now=time.time(), codec=self._codec)
        return TaskResult(task_id, states.FAILURE, 0, meta)

    def watch(self, ids: Collection[str], timeout: float | None) -> Iterator[TaskResult]:
        return watch_by_looking(self.fetch, ids, timeout, time.sleep)

    def forget(self, ids: Collection[str]) -> None:
        self._ask(lambda cache: cache.delete_many([_RECORD + id for id in ids]))

    def save_group(self, group: str, meta: bytes) -> None:
        self._ask(lambda cache: cache.set(_GROUP + group, self._own.loads(meta), timeout=self._expires))

    def fetch_group(self, group: str) -> bytes | None:
        found = self._ask(lambda cache: cache.get(_GROUP + group))
        return None if found is None else self._own.dumps(found, "the group")

    def forget_group(self, group: str) -> None:
        self._ask(lambda cache: cache.delete(_GROUP + group))

    def cleanup(self) -> None:
        """A cache drops by itself what has expired."""

    def open_chord(self, group: str, size: int) -> None:
        _refuse_chords()

    def claim_chords(self, parts: Sequence[ChordPart], claim_s: float) -> Sequence[ChordClaim]:
        _refuse_chords()

    def _ask(self, ask: Callable[[Any], T]) -> T:
        """Raises BackendError, or ImproperlyConfigured when there is no such cache."""
        try:
            cache = _caches.caches[self._alias]
        except _caches.InvalidCacheBackendError:
            there = ", ".join(map(repr, _caches.caches))
            raise ImproperlyConfigured(
                f"cache_backend expects the alias of one of the caches in Django's CACHES ({there}), "
                f"got {self._alias!r}"
            ) from None
        try:
            return ask(cache)
        except CeleryError:
            raise
        except Exception as error:  # a cache raises whatever its client does
            first_line = str(error).strip().partition("\n")[0] or type(error).__name__
            todo = _todo(cache, first_line)
            raise BackendError(f"{self.describe()}: {first_line}{todo}") from error

    def describe(self) -> str:
        return f"django-cache://{self._alias}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.describe()}>"

    def after_fork(self) -> None:
        self._lock = threading.Lock()
        forget_inherited()

    def close(self) -> None:
        """The connections are Django's, which closes them."""


def open_store(opening: Opening) -> DjangoCacheBackend:
    expect_a_project("django-cache")
    return DjangoCacheBackend(opening)


def _object(record: TaskResult, own: Serializer) -> dict[str, Any]:
    kept = read_meta(record.meta, own)
    if record.attempt:
        kept["attempt"] = record.attempt
    return kept


def _standing(kept: object) -> tuple[str, int] | None:
    """State and attempt of what another may replace; what is no record stands back."""
    if not isinstance(kept, dict) or not isinstance(kept.get("status"), str):
        return None
    return kept["status"], _attempt(kept)


def _attempt(kept: Mapping[str, Any]) -> int:
    attempt = kept.get("attempt") or kept.get("retries") or 0
    return attempt if type(attempt) is int else 0


def _told(kept: object, own: Serializer) -> tuple[dict[str, Any], int]:
    if not isinstance(kept, dict) or not isinstance(kept.get("status"), str):
        raise ContentError(f"expected a stored result with a status, got {str(kept)[:80]!r}")
    told = {key: value for key, value in kept.items() if key != "attempt"}
    if isinstance(told.get("result"), BaseException):
        told["result"] = encode_failure(told["result"], own)
    return told, _attempt(kept)


def _todo(cache: Any, problem: str) -> str:
    """For a cache in the database, whose table somebody has to make."""
    table = getattr(cache, "_table", None)
    missing = table is not None and ("no such table" in problem or "exist" in problem)
    return f"; run `python manage.py createcachetable {table}`" if missing else ""


def _refuse_chords() -> NoReturn:
    raise NotSupported(
        "chords with result_backend 'django-cache'",
        "Django's caches cannot compare and set, so parts would get lost; keep results in 'django-db' or a Redis",
    )
