"""The stored record of a task, in Celery's words and key order (docs/internals/wire-protocol.md, 5.1).

The whole record goes through the serializer of results. Reading accepts any order and what older Celerys left out.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from celery_rs import states
from celery_rs._core import write_timestamp
from celery_rs.errors import ContentError, EncodeError
from celery_rs.serializers import JSON, Serializer, pack_result, serializer, unpack_result

_DAY = timedelta(days=1)  # so that it exists in every time zone
_FIRST = (datetime.min.replace(tzinfo=UTC) + _DAY).timestamp()
_LAST = (datetime.max.replace(tzinfo=UTC) - _DAY).timestamp()

Child = Sequence[Any]
"""A result tuple, `[[id, parent], None]`."""


class ResultCodec(NamedTuple):
    """How results are written."""

    serializer: Serializer = JSON
    compression: str | None = None

    @property
    def is_plain(self) -> bool:
        """Whether anybody can read a record, a script in a Redis too."""
        return self.serializer is JSON and self.compression is None

    @classmethod
    def of(cls, conf: Any) -> "ResultCodec":
        """What `result_serializer` and `result_compression` say."""
        return cls(serializer(conf.result_serializer), conf.result_compression)


_PLAIN = ResultCodec()


class Meta(NamedTuple):
    """A record as read. `result` is raw: a failure is still what was stored (see `failure.decode_failure`)."""

    status: str
    result: Any
    traceback: str | None
    children: Sequence[Any]
    date_done: str | None
    task_id: str
    parent_id: str | None
    group_id: str | None
    name: str | None
    args: Any
    kwargs: Any
    worker: str | None
    retries: int | None
    queue: str | None


def encode_meta(
    task_id: str,
    state: str,
    result: object,
    *,
    now: float,
    traceback: str | None = None,
    children: Sequence[str] | None = (),
    group_id: str | None = None,
    parent_id: str | None = None,
    extended: Mapping[str, object] | None = None,
    codec: ResultCodec = _PLAIN,
    attempt: int = 0,
) -> bytes:
    """`now` is epoch seconds; `children` are task ids; `extended` are the fields of `result_extended`.

    `attempt` is told in records that are not plain, where no store could add it; readers of Celery pass it over.

    Raises EncodeError for the result.
    """
    meta: dict[str, object] = {
        "status": state,
        "result": result,
        "traceback": traceback,
        "children": None if children is None else [((child, None), None) for child in children],
        "date_done": iso(now) if state in states.READY_STATES else None,
    }
    if group_id is not None:
        meta["group_id"] = group_id
    if parent_id is not None:
        meta["parent_id"] = parent_id
    if extended:
        meta |= extended
    if attempt and not codec.is_plain:
        meta["attempt"] = attempt
    meta["task_id"] = task_id
    try:
        raw = codec.serializer.dumps(meta, "the record")
    except EncodeError:
        codec.serializer.dumps(result, "result")  # the complaint then says where
        for key, item in (extended or {}).items():
            codec.serializer.dumps(item, key)
        raise
    return raw if codec.compression is None else pack_result(raw, codec.compression)


def read_meta(raw: bytes, reader: Serializer = JSON) -> dict[str, Any]:
    """A record as its keys and values, compressed or not. Raises ContentError when it is not one."""
    value = reader.loads(unpack_result(raw))
    if not isinstance(value, dict) or not isinstance(value.get("status"), str):
        raise ContentError(f"expected a stored result with a status, got {raw[:80]!r}")
    return value


def decode_meta(raw: bytes, reader: Serializer = JSON) -> Meta:
    """Raises ContentError when it is not a record that `reader` reads."""
    value = read_meta(raw, reader)
    return Meta(
        value["status"],
        value.get("result"),
        value.get("traceback"),
        value.get("children") or (),
        value.get("date_done"),
        str(value.get("task_id", "")),
        value.get("parent_id"),
        value.get("group_id"),
        value.get("name"),
        value.get("args"),
        value.get("kwargs"),
        value.get("worker"),
        value.get("retries"),
        value.get("queue"),
    )


def instant(seconds: float) -> datetime:
    """Epoch seconds as a time in UTC; what Python's calendar lacks, and a message may say, is a day from its end."""
    return datetime.fromtimestamp(min(max(seconds, _FIRST), _LAST), UTC)


def iso(moment: float) -> str:
    """Epoch seconds as ISO 8601, in UTC; the text of `instant`."""
    return write_timestamp(moment)
