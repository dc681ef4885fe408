"""`BaseBackend`, for stores of the user's own that keep a result with its parts: Celery's names, meaning the same.

A subclass says how one result is stored and found (`_store_result`, `_get_task_meta_for`); `_forget`, `_save_group`,
`_restore_group`, `_delete_group` and `cleanup` if it can. All of its code is the user's: it runs in clients, in the
processes of the pool and in the one that writes results, never in a worker's main process.
"""

import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from celery_rs import errors, states
from celery_rs.backends.own.call import Call
from celery_rs.config import mask_url
from celery_rs.errors import NotSupported
from celery_rs.serializers import content_types, pack_result, reader, serializer, unpack_result
from celery_rs.wire import ResultCodec, decode_failure, encode_failure

_TEXT = frozenset({"utf-8", "us-ascii"})
_STORED_AS = "_celery_rs_stored_as"
POLL_S = 0.5


class BaseBackend:
    """Made by `result_backend`: `MyStore(app=app, url=url)`, where `url` is what follows the class's own name in it."""

    READY_STATES = states.READY_STATES
    UNREADY_STATES = states.UNREADY_STATES
    EXCEPTION_STATES = states.EXCEPTION_STATES
    TimeoutError = errors.TimeoutError

    persistent = True
    supports_autoexpire = False
    supports_native_join = False
    supports_result_compression = False
    retry_policy: ClassVar[dict[str, float]] = {
        "max_retries": 20,
        "interval_start": 0,
        "interval_step": 1,
        "interval_max": 1,
    }

    def __init__(
        self,
        app: Any,
        serializer: str | None = None,
        max_cached_results: int | None = None,
        accept: Iterable[str] | None = None,
        expires: float | timedelta | None = None,
        expires_type: type | None = None,
        url: str | None = None,
        **options: Any,
    ) -> None:
        self.app = app
        self.url = url
        self.serializer: str = serializer or app.conf.result_serializer
        self.compression = app.conf.result_compression if self.supports_result_compression else None
        self.codec = ResultCodec(_serializer(self.serializer), self.compression)
        self.content_type = self.codec.serializer.content_type
        self.content_encoding = self.codec.serializer.content_encoding
        given = app.conf.result_accept_content if accept is None else accept
        self.accept = content_types(tuple(app.conf.accept_content if given is None else given))
        self.expires = self.prepare_expires(expires, expires_type)

    # What a subclass gives

    def _store_result(
        self, task_id: str, result: Any, state: str, traceback: str | None = None, request: Any = None, **kwargs: Any
    ) -> Any:
        """Keep an encoded result (`encode_result`)."""
        raise self._lacking("_store_result")

    def _get_task_meta_for(self, task_id: str) -> dict[str, Any]:
        """What is kept, with at least `status` and `result`; of an unknown task the status is PENDING."""
        raise self._lacking("_get_task_meta_for")

    def _forget(self, task_id: str) -> None:
        raise self._lacking("_forget")

    def _save_group(self, group_id: str, result: Any) -> Any:
        """Keep `result.as_tuple()`."""
        raise self._lacking("_save_group")

    def _restore_group(self, group_id: str) -> dict[str, Any] | None:
        """{"result": the group, or its tuple}; None when there is none."""
        raise self._lacking("_restore_group")

    def _delete_group(self, group_id: str) -> None:
        raise self._lacking("_delete_group")

    def cleanup(self) -> None:
        """Delete what has expired (celery.backend_cleanup)."""

    def process_cleanup(self) -> None:
        """Called after results have been written."""

    def _lacking(self, method: str) -> NotSupported:
        return NotSupported(f"{type(self).__name__} without {method}()", "write that method")

    # Storing

    def store_result(
        self, task_id: str, result: Any, state: str, traceback: str | None = None, request: Any = None, **kwargs: Any
    ) -> Any:
        result = self.encode_result(result, state)
        # By position, since some stores name them otherwise.
        self._store_result(task_id, result, state, traceback, request=request, **kwargs)
        return result

    def mark_as_started(self, task_id: str, **meta: Any) -> Any:
        return self.store_result(task_id, meta, states.STARTED)

    def mark_as_done(
        self, task_id: str, result: Any, request: Any = None, store_result: bool = True, state: str = states.SUCCESS
    ) -> None:
        if store_result:
            self.store_result(task_id, result, state, request=request)

    def mark_as_failure(
        self,
        task_id: str,
        exc: BaseException,
        traceback: str | None = None,
        request: Any = None,
        store_result: bool = True,
        call_errbacks: bool = True,
        state: str = states.FAILURE,
    ) -> None:
        """The record only: what else follows from a failure is the worker's business."""
        if store_result:
            self.store_result(task_id, exc, state, traceback=traceback, request=request)

    def mark_as_retry(
        self,
        task_id: str,
        exc: BaseException,
        traceback: str | None = None,
        request: Any = None,
        store_result: bool = True,
        state: str = states.RETRY,
    ) -> Any:
        return self.store_result(task_id, exc, state, traceback=traceback, request=request) if store_result else None

    def mark_as_revoked(
        self,
        task_id: str,
        reason: str = "",
        request: Any = None,
        store_result: bool = True,
        state: str = states.REVOKED,
    ) -> None:
        if store_result:
            self.store_result(task_id, errors.TaskRevokedError(reason), state, request=request)

    # Reading

    def get_task_meta(self, task_id: str, cache: bool = True) -> dict[str, Any]:
        return self._get_task_meta_for(task_id)

    def metas_for(self, ids: Iterable[str]) -> dict[str, dict[str, Any]]:
        """By id; what is unknown may be left out."""
        return {task_id: self.get_task_meta(task_id) for task_id in ids}

    def get_state(self, task_id: str) -> str:
        status: str = self.get_task_meta(task_id)["status"]
        return status

    get_status = get_state

    def get_result(self, task_id: str) -> Any:
        return self.get_task_meta(task_id).get("result")

    def get_traceback(self, task_id: str) -> str | None:
        return self.get_task_meta(task_id).get("traceback")

    def get_children(self, task_id: str) -> Any:
        return self.get_task_meta(task_id).get("children")

    def task_result_exists(self, task_id: str) -> bool:
        return bool(self._get_task_meta_for(task_id)["status"] != states.PENDING)

    def wait_for(
        self, task_id: str, timeout: float | None = None, interval: float = POLL_S, **options: Any
    ) -> dict[str, Any]:
        """The record once it is ready. Raises TimeoutError."""
        for _task_id, meta in self.get_many([task_id], timeout=timeout, interval=interval):
            return meta
        raise AssertionError("get_many yields or raises")

    def get_many(
        self, task_ids: Iterable[str], timeout: float | None = None, interval: float | None = POLL_S, **options: Any
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Each record once it is ready, as they come. Raises TimeoutError."""
        deadline = None if timeout is None else time.monotonic() + timeout
        awaited = set(task_ids)
        while True:
            for task_id, meta in self.metas_for(awaited).items():
                if meta["status"] in states.READY_STATES:
                    awaited.discard(task_id)
                    yield task_id, meta
            if not awaited:
                return
            left = POLL_S if interval is None else interval
            if deadline is not None and (left := min(left, deadline - time.monotonic())) <= 0:
                raise errors.TimeoutError("The operation timed out.")
            time.sleep(left)

    def forget(self, task_id: str) -> None:
        self._forget(task_id)

    # Groups

    def save_group(self, group_id: str, result: Any) -> Any:
        return self._save_group(group_id, result)

    def get_group_meta(self, group_id: str, cache: bool = True) -> dict[str, Any] | None:
        return self._restore_group(group_id)

    def restore_group(self, group_id: str, cache: bool = True) -> Any:
        meta = self.get_group_meta(group_id)
        return meta["result"] if meta else None

    def delete_group(self, group_id: str) -> None:
        self._delete_group(group_id)

    # Values and bytes

    def encode(self, data: Any) -> str | bytes:
        """Text where the serializer writes text, unless it is compressed."""
        raw = self.codec.serializer.dumps(data)
        if self.compression:
            return pack_result(raw, self.compression)
        return raw.decode() if self.content_encoding in _TEXT else raw

    def decode(self, payload: Any) -> Any:
        """Raises ContentError, ContentDisallowed."""
        if payload is None:
            return None
        raw = payload.encode() if isinstance(payload, str) else bytes(payload)
        return reader(self.content_type, self.accept).loads(unpack_result(raw))

    def encode_result(self, result: Any, state: str) -> Any:
        if state in states.EXCEPTION_STATES and isinstance(result, BaseException):
            return self.prepare_exception(result)
        return self.prepare_value(result)

    def decode_result(self, payload: Any) -> dict[str, Any]:
        return self.meta_from_decoded(self.decode(payload))

    def meta_from_decoded(self, meta: dict[str, Any]) -> dict[str, Any]:
        if meta["status"] in states.EXCEPTION_STATES:
            meta["result"] = self.exception_to_python(meta["result"])
        return meta

    def prepare_exception(self, exc: BaseException, serializer: str | None = None) -> Any:
        stored = getattr(exc, _STORED_AS, None)
        chosen = self.codec.serializer if serializer is None else _serializer(serializer)
        return encode_failure(exc, chosen) if stored is None else stored

    def exception_to_python(self, exc: Any) -> BaseException | None:
        """Never imports, and never raises: what cannot be rebuilt is a RemoteError that shows it."""
        return None if exc is None else as_stored(exc)

    def prepare_value(self, result: Any) -> Any:
        as_tuple = getattr(result, "as_tuple", None)
        return as_tuple() if self.serializer != "pickle" and callable(as_tuple) else result

    def current_task_children(self, request: Any = None) -> list[Any] | None:
        if request is None:
            return None
        return [child.as_tuple() for child in getattr(request, "children", None) or ()]

    def _get_result_meta(
        self,
        result: Any,
        state: str,
        traceback: str | None,
        request: Any,
        format_date: bool = True,
        encode: bool = False,
    ) -> dict[str, Any]:
        """A record as Celery writes it, and the attempt, which Celery passes over."""
        meta: dict[str, Any] = {"status": state}
        if request is not None and getattr(request, "retries", None):
            meta["attempt"] = request.retries
        meta |= {
            "result": result,
            "traceback": traceback,
            "children": self.current_task_children(request),
            "date_done": _date_done(state, request, format_date),
        }
        if request is None:
            return meta
        if getattr(request, "group", None):
            meta["group_id"] = request.group
        if getattr(request, "parent_id", None):
            meta["parent_id"] = request.parent_id
        return meta | self._extended(request, encode) if self.app.conf.result_extended else meta

    def _extended(self, request: Any, encode: bool) -> dict[str, Any]:
        args, kwargs = getattr(request, "args", None), getattr(request, "kwargs", None)
        return {
            "name": getattr(request, "task", None),
            "args": _bytes(self.encode(args)) if encode else args,
            "kwargs": _bytes(self.encode(kwargs)) if encode else kwargs,
            "worker": getattr(request, "hostname", None),
            "retries": getattr(request, "retries", None),
            "queue": (getattr(request, "delivery_info", None) or {}).get("routing_key"),
        }

    # Settings

    def prepare_expires(self, value: float | timedelta | None, type: type | None = None) -> Any:
        """Seconds; what the settings say where nothing is given."""
        chosen = self.app.conf.result_expires if value is None else value
        seconds = chosen.total_seconds() if isinstance(chosen, timedelta) else chosen
        return type(seconds) if type is not None and seconds is not None else seconds

    def prepare_persistent(self, enabled: bool | None = None) -> bool:
        return self.persistent if enabled is None else enabled

    def as_uri(self, include_password: bool = False) -> str:
        url = self.url or ""
        return url if include_password else mask_url(url)


def as_stored(stored: Any) -> BaseException:
    """The exception in a record, which is stored again as it was, whatever became of it here."""
    exc = decode_failure(stored)
    if not isinstance(stored, BaseException):
        setattr(exc, _STORED_AS, stored)
    return exc


def _serializer(name: str) -> Any:
    return serializer(name)


def _date_done(state: str, request: Any, as_text: bool) -> Any:
    if state not in states.READY_STATES:
        return None
    told = request.date_done if isinstance(request, Call) else None
    done = datetime.fromisoformat(told) if told else datetime.now(UTC)
    return done.isoformat() if as_text else done


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value
