"""A store of Celery's shape as a result store of ours.

The rule takes a question and an order: between them somebody else may write, so with such a store a record may go
backwards. The user's object is made at first use, one for each thread unless `result_backend_thread_safe`.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, Literal
from uuid import uuid4

from celery_rs import states
from celery_rs.backends.base import ChordClaim
from celery_rs.backends.instead import failure_instead
from celery_rs.backends.looking import watch_by_looking
from celery_rs.backends.own.base import BaseBackend, as_stored
from celery_rs.backends.own.call import Call, Member
from celery_rs.errors import (
    BackendError,
    BackendGetMetaError,
    BackendStoreError,
    ContentDisallowed,
    ContentError,
    NotSupported,
)
from celery_rs.serializers import pack_result
from celery_rs.wire import (
    ChordPart,
    ResultCodec,
    TaskResult,
    decode_group,
    encode_group,
    read_meta,
    supersedes,
)

logger = logging.getLogger(__name__)

TRIES = 3
"""After so many, a record may be what is wrong, and not the store: it must not hold up all others for ever."""
_FIRST = ("status", "result", "traceback", "children", "date_done")


class OwnBackend:
    """See `backends.base.ResultBackend`. What it does not know itself, such as `get_state`, the user's object does."""

    place: Literal["parent", "child"] = "child"

    def __init__(
        self, make: Callable[[], BaseBackend], *, name: str, shown: str, codec: ResultCodec, shared: bool = False
    ) -> None:
        """`name` is the class's and `shown` the URL for people; all threads use one object if it is `shared`."""
        self._make = make
        self._name = name
        self._shown = shown
        self._codec = codec
        self._shared = shared
        self._failed: dict[str, int] = {}
        """How often writing a task's record has failed."""
        self._forget_objects()

    def _forget_objects(self) -> None:
        self._lock = threading.Lock()
        self._made: BaseBackend | None = None
        self._of_thread = threading.local()

    @property
    def own(self) -> BaseBackend:
        """The user's object."""
        if self._shared:
            with self._lock:
                if self._made is None:
                    self._made = self._constructed()
                return self._made
        made: BaseBackend | None = getattr(self._of_thread, "made", None)
        if made is None:
            made = self._of_thread.made = self._constructed()
        return made

    def _constructed(self) -> BaseBackend:
        with self._in_words("__init__"):
            return self._make()

    # Records

    def store(self, records: Sequence[TaskResult]) -> Sequence[bool]:
        written = [self._store(record) for record in records]
        with self._in_words("process_cleanup"):
            self.own.process_cleanup()
        return written

    def _store(self, record: TaskResult) -> bool:
        try:
            over = self._fetch_one(record.task_id)
        except BackendError as error:
            return self._leave_out(record, error, self._count_failure(record))
        if over and not supersedes(record.state, record.attempt, over=over.state, over_attempt=over.attempt):
            return False
        try:
            self._write(record)
        except BackendError as error:
            return self._store_instead(record, error)
        self._failed.pop(record.task_id, None)
        return True

    def _write(self, record: TaskResult) -> None:
        meta = read_meta(record.meta, self._codec.serializer)
        result = as_stored(meta["result"]) if record.state in states.EXCEPTION_STATES else meta["result"]
        call = Call(meta | {"task_id": record.task_id}, record.attempt)
        with self._in_words("store_result"):
            self.own.store_result(record.task_id, result, record.state, traceback=meta.get("traceback"), request=call)

    def _store_instead(self, record: TaskResult, error: BackendError) -> bool:
        """A record that is refused again and again gives way to a failure that says so, if the store takes that."""
        tries = self._count_failure(record)
        if tries < TRIES:
            raise error
        is_ready = record.state in states.READY_STATES
        try:
            is_back = is_ready and not self._takes_failure(record, error)
        except BackendError:
            return self._leave_out(record, error, tries)
        del self._failed[record.task_id]
        if not is_back:
            what = "and is a failure now" if is_ready else "and is not kept"
            logger.error("%s: the record %s of task %s is refused %s", error, record.state, record.task_id, what)
        return is_back

    def _count_failure(self, record: TaskResult) -> int:
        self._failed[record.task_id] = tries = self._failed.get(record.task_id, 0) + 1
        return tries

    def _leave_out(self, record: TaskResult, error: BackendError, tries: int) -> bool:
        """A task of which the store takes nothing at all holds up no other. Raises `error` if others fare no better."""
        if tries < TRIES or not self._takes_another(record, error):
            raise error
        del self._failed[record.task_id]
        logger.error("%s: the record %s of task %r is dropped, others are taken", error, record.state, record.task_id)
        return False

    def _takes_another(self, record: TaskResult, error: BackendError) -> bool:
        """Whether the same would be taken under an id that Celery makes; it is forgotten where the store can."""
        other = str(uuid4())
        try:
            self._fetch_one(other)
            self._write(failure_instead(other, BackendStoreError(str(error)), now=time.time(), codec=self._codec))
        except BackendError:
            return False
        with suppress(BackendError, NotSupported):
            self.forget([other])
        return True

    def _takes_failure(self, record: TaskResult, error: BackendError) -> bool:
        """Raises BackendError when it is the store that is at fault; False if it has come back just now."""
        told, now = BackendStoreError(str(error)), time.time()
        self._write(failure_instead(record.task_id, told, now=now, codec=self._codec, attempt=record.attempt))
        try:
            self._write(record)
        except BackendError:
            return True
        return False

    def fetch(self, ids: Collection[str]) -> dict[str, TaskResult]:
        try:
            with self._in_words("get_task_meta"):
                metas = self.own.metas_for(ids)
        except (ContentError, ContentDisallowed):
            found = {task_id: self._fetch_one(task_id) for task_id in ids}
            return {task_id: record for task_id, record in found.items() if record is not None}
        return {task_id: self._record(task_id, meta) for task_id, meta in metas.items() if _is_known(meta)}

    def _fetch_one(self, task_id: str) -> TaskResult | None:
        """What cannot be read counts as ready: whoever waits for it is told what is wrong with it."""
        try:
            with self._in_words("get_task_meta"):
                meta = self.own.get_task_meta(task_id)
        except (ContentError, ContentDisallowed) as error:
            return self._unreadable(task_id, error)
        return self._record(task_id, meta) if _is_known(meta) else None

    def _record(self, task_id: str, meta: Mapping[str, Any]) -> TaskResult:
        """What the user's object tells, as Celery writes it."""
        with self._in_words("get_task_meta"):
            state, attempt = str(meta["status"]), _attempt(meta)
            rest = [name for name in meta if name not in {*_FIRST, "attempt", "task_id"}]
            told = {name: self._plain(meta.get(name)) for name in (*_FIRST, *rest)}
            told["children"] = _described(told["children"])
            if attempt and not self._codec.is_plain:
                told["attempt"] = attempt
            raw = self._codec.serializer.dumps(told | {"task_id": task_id}, "the record")
        packed = raw if self._codec.compression is None else pack_result(raw, self._codec.compression)
        return TaskResult(task_id, state, attempt, packed)

    def _plain(self, value: Any) -> Any:
        if isinstance(value, BaseException):
            return self.own.prepare_exception(value)
        return value.isoformat() if isinstance(value, datetime) else value

    def _unreadable(self, task_id: str, error: Exception) -> TaskResult:
        wrong = BackendGetMetaError(f"{self._shown}: the record of task {task_id} cannot be read: {error}")
        return failure_instead(task_id, wrong, now=time.time(), codec=self._codec)

    def watch(self, ids: Collection[str], timeout: float | None) -> Iterator[TaskResult]:
        return watch_by_looking(self.fetch, ids, timeout, time.sleep)

    def forget(self, ids: Collection[str]) -> None:
        """A single id is taken, too, as Celery's stores are told."""
        with self._in_words("forget"):
            for task_id in [ids] if isinstance(ids, str) else ids:
                self.own.forget(task_id)

    def cleanup(self) -> None:
        with self._in_words("cleanup"):
            self.own.cleanup()

    # Groups and chords

    def save_group(self, group: str, meta: bytes) -> None:
        with self._in_words("save_group"):
            self.own.save_group(group, Member(decode_group(meta, self._codec.serializer)))

    def fetch_group(self, group: str) -> bytes | None:
        with self._in_words("restore_group"):
            found = self.own.restore_group(group)
            if found is None:
                return None
            described: Any = found.as_tuple() if hasattr(found, "as_tuple") else found
            return encode_group(described, self._codec)

    def forget_group(self, group: str) -> None:
        with self._in_words("delete_group"):
            self.own.delete_group(group)

    def open_chord(self, group: str, size: int) -> None:
        raise self._no_chords()

    def claim_chords(self, parts: Sequence[ChordPart], claim_s: float) -> Sequence[ChordClaim]:
        if parts:
            raise self._no_chords()
        return []

    def _no_chords(self) -> NotSupported:
        return NotSupported(
            f"a chord with the results in {self._name}",
            "such a store cannot compare and set, and would lose parts of it; use redis://, db+...:// or sqlite://",
        )

    # The end

    def describe(self) -> str:
        return self._shown

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.describe()}>"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.own, name)

    def after_fork(self) -> None:
        self._of_parent = (self._made, self._of_thread)  # so that nothing closes what it has opened
        self._forget_objects()

    def close(self) -> None:
        """The user's objects go with it: the shape has no word for the end."""
        self._forget_objects()

    @contextmanager
    def _in_words(self, method: str) -> Iterator[None]:
        """What the user's code raises is an error of the store."""
        try:
            yield
        except (BackendError, NotSupported, ContentError, ContentDisallowed):
            raise
        except Exception as error:
            raise BackendError(
                f"{self._shown}: {self._name}.{method}() failed with {type(error).__name__}: {error}"
            ) from error


def _is_known(meta: Any) -> bool:
    """A record may be PENDING, too; of an unknown task there is no more than that."""
    return meta.get("status") != states.PENDING or "task_id" in meta


def _described(children: Any) -> Any:
    """By their tuples; a store may keep results as they are."""
    return [child.as_tuple() if hasattr(child, "as_tuple") else child for child in children] if children else children


def _attempt(meta: Mapping[str, Any]) -> int:
    told = meta.get("attempt", meta.get("retries"))
    return told if type(told) is int else 0
