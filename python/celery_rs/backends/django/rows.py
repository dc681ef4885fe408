"""A record as columns of django-celery-results, and back (docs/internals/wire-protocol.md, 5.7). Pure.

What the tables have no column for lies in the JSON of `meta`, beside the children: the attempt, when the task was
done to the microsecond, its group and parent, and with `result_extended` the arguments themselves, where the columns
have their text. The package's own reader takes `meta` as part of the record, so Celery sees all of it, too.
"""

import base64
import binascii
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from celery_rs import states
from celery_rs.errors import CeleryError, ContentError
from celery_rs.serializers import Serializer, reader
from celery_rs.wire import ResultCodec, TaskResult, encode_failure, encode_meta, preview, read_meta

_MOST = {"name": 255, "worker": 100}
"""How long a text these columns hold; what is longer is cut there, and whole in `meta`."""
_COLUMNS = frozenset({"status", "result", "traceback", "children", "task_id", "attempt"})
_EXTENDED = ("name", "args", "kwargs", "worker", "retries", "queue")


def columns_of(record: TaskResult, own: Serializer) -> dict[str, Any]:
    """The columns that hold the record, but for its id and the dates. Raises ContentError for what is no record."""
    told = read_meta(record.meta, own)
    meta = {"children": told.get("children")}
    meta |= {key: value for key, value in told.items() if key not in _COLUMNS}
    if meta.get("date_done") is None:
        meta.pop("date_done", None)
    if record.attempt:
        meta["attempt"] = record.attempt
    for key, most in _MOST.items():
        if len(meta.get(key) or "") <= most:
            meta.pop(key, None)
    return {
        "status": record.state,
        "result": _text(told.get("result"), own),
        "content_type": own.content_type,
        "content_encoding": own.content_encoding,
        "traceback": _as_text(told.get("traceback")),
        "meta": _text(meta, own),
        "task_name": _cut(told.get("name"), _MOST["name"]),
        "task_args": _argument_text(told["args"], own) if "args" in told else None,
        "task_kwargs": _argument_text(told["kwargs"], own) if "kwargs" in told else None,
        "worker": _cut(told.get("worker"), _MOST["worker"]),
    }


def attempt_of(row: Any, own: Serializer) -> int:
    """Of a row that another may replace; 0 where it does not say, as in a row of Celery's."""
    try:
        meta = _value(row.meta, row.content_encoding, own)
    except CeleryError:
        return 0
    attempt = meta.get("attempt", 0) if isinstance(meta, Mapping) else 0
    return attempt if type(attempt) is int else 0


def record_of(row: Mapping[str, Any], done: datetime, codec: ResultCodec, accept: Collection[str]) -> TaskResult:
    """The record that columns hold. `done` is `date_done`, aware.

    What cannot be read counts as a failure: whoever waits for it is told what is wrong with it.
    """
    task_id = row["task_id"]
    try:
        told, attempt = _told(row, done, codec, accept)
        return TaskResult(task_id, row["status"], attempt, codec.serializer.dumps(told, "the record"))
    except CeleryError as error:
        failure = encode_failure(error, codec.serializer)
        meta = encode_meta(
            task_id,
            states.FAILURE,
            failure,
            now=done.timestamp(),
            codec=codec._replace(compression=None),
        )
        return TaskResult(task_id, states.FAILURE, 0, meta)


def _told(
    row: Mapping[str, Any], done: datetime, codec: ResultCodec, accept: Collection[str]
) -> tuple[dict[str, Any], int]:
    encoding = row["content_encoding"]
    read_by = reader(row["content_type"], accept, encoding)
    result = _value(row["result"], encoding, read_by)
    if isinstance(result, BaseException):
        result = encode_failure(result, codec.serializer)
    beside = _value(row["meta"], encoding, read_by) or {}
    if not isinstance(beside, dict):
        raise ContentError(f"expected the column meta to be an object, got {str(row['meta'])[:80]!r}")
    attempt = beside.pop("attempt", 0)
    ready = row["status"] in states.READY_STATES
    told = {
        "status": row["status"],
        "result": result,
        "traceback": row["traceback"],
        "children": beside.pop("children", None),
        "date_done": beside.pop("date_done", None) or (done.isoformat() if ready else None),
    }
    extended = _extended(row, beside, read_by)
    told |= beside | extended
    if attempt and not codec.is_plain:
        told["attempt"] = attempt
    told["task_id"] = row["task_id"]
    return told, attempt if type(attempt) is int else 0


def _extended(row: Mapping[str, Any], beside: dict[str, Any], read_by: Serializer) -> dict[str, Any]:
    """What `result_extended` adds, in Celery's order; taken out of `beside`."""
    said = {key: beside.pop(key) for key in _EXTENDED if key in beside}
    if row["task_name"] is None and not said:
        return {}
    columns = {
        "name": row["task_name"],
        "args": _leniently(row["task_args"], row["content_encoding"], read_by),
        "kwargs": _leniently(row["task_kwargs"], row["content_encoding"], read_by),
        "worker": row["worker"],
    }
    both = columns | said
    return {key: both[key] for key in _EXTENDED if key in both}


def group_columns(meta: bytes, own: Serializer) -> dict[str, Any]:
    """A saved group, `{"result": ⟨result tuple⟩}`, as columns."""
    members = own.loads(meta)["result"]
    return {
        "result": _text(members, own),
        "content_type": own.content_type,
        "content_encoding": own.content_encoding,
    }


def group_meta(row: Any, own: Serializer, accept: Collection[str]) -> bytes:
    """The same back. Raises ContentDisallowed or ContentError."""
    read_by = reader(row.content_type, accept, row.content_encoding)
    return own.dumps({"result": _value(row.result, row.content_encoding, read_by)}, "the group")


# texts


def _text(value: object, own: Serializer) -> str:
    raw = own.dumps(value, "the record")
    return base64.b64encode(raw).decode() if own.content_encoding == "binary" else raw.decode(own.content_encoding)


def _value(text: str | None, encoding: str, read_by: Serializer) -> Any:
    """Raises ContentError."""
    if not text:
        return None
    try:
        raw = base64.b64decode(text, validate=False) if encoding == "binary" else text.encode()
    except binascii.Error as error:
        raise ContentError(f"expected base64, got {text[:80]!r}: {error}") from None
    return read_by.loads(raw)


def _leniently(text: str | None, encoding: str, read_by: Serializer) -> Any:
    """Arguments, of which older rows have the mere text."""
    try:
        return _value(text, encoding, read_by)
    except CeleryError:
        return text


def _argument_text(value: Any, own: Serializer) -> str:
    """The text of arguments, as the package keeps it: encoded once more."""
    text = value if isinstance(value, str) else preview(tuple(value) if isinstance(value, list) else value)
    return _text(text, own)


def _cut(text: str | None, most: int) -> str | None:
    return None if text is None else _as_text(text[:most])


def _as_text(text: str | None) -> str | None:
    """What a database takes for text: PostgreSQL keeps no NUL, and nobody half a character."""
    return None if text is None else text.encode(errors="backslashreplace").decode().replace("\0", "\\x00")


def is_text(text: str) -> bool:
    """Whether a database takes it as it is."""
    return _as_text(text) == text
