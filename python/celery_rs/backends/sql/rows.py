"""A record ⇄ a row of Celery's table. Pure.

Celery's columns do not hold all of a record: the attempt goes into `retries`, and what is left into `stamps`, whose
readers pass over what they do not know. Whoever writes the row without us leaves `stamps` as it was; so it says which
row it belongs to.
"""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from celery_rs import states
from celery_rs.backends.sql.expiry import date_of
from celery_rs.backends.sql.tables import LONGEST_WORD
from celery_rs.errors import ContentError, EncodeError
from celery_rs.serializers import PICKLE, Serializer
from celery_rs.wire import TaskResult, encode_failure, read_meta

Row = dict[str, Any]

_WORDS = ("name", "worker", "queue")
_CALL = ("args", "kwargs")
_EXTENDED = ("name", "args", "kwargs", "worker", "retries", "queue")
_OURS = "celery_rs"
_PICKLE_MARK = b"\x80"


class RowCodec(NamedTuple):
    """`writes` is how values are written, and records are taken and given; `accept` are the content types to read.

    `whole_seconds`: the column of dates has no others.
    """

    writes: Serializer
    accept: Collection[str]

    def row(self, record: TaskResult, now: float, token: str, *, whole_seconds: bool = False) -> Row:
        """`token` tells this write from any other. Raises ContentError or EncodeError for what is no record."""
        meta = read_meta(record.meta, self.writes)
        dumps = self.writes.dumps
        date = date_of(int(now) if whole_seconds else now)
        children = meta.get("children")
        ours = {
            "row": [record.state, date.isoformat(timespec="seconds"), token],
            "date_done": meta.get("date_done"),
            **{key: meta[key] for key in ("group_id", "parent_id") if meta.get(key) is not None},
        }
        return {
            "task_id": record.task_id,
            "status": record.state,
            "result": dumps(meta.get("result"), "result"),
            "date_done": date,
            "traceback": _printable(meta.get("traceback")),
            "children": dumps(children, "children") if children else None,
            **{key: _short(meta.get(key)) for key in _WORDS},
            **{key: dumps(meta[key], key) if meta.get(key) is not None else None for key in _CALL},
            "retries": record.attempt,
            "stamps": dumps(_stamps(meta) | {_OURS: ours}, "stamps"),
        }

    def record(self, row: Mapping[str, Any]) -> TaskResult:
        """What cannot be read counts as ready: whoever waits for it is told what is wrong with it."""
        task_id, status, attempt = row["task_id"], row["status"] or states.PENDING, row["retries"] or 0
        try:
            return TaskResult(task_id, status, attempt, self.writes.dumps(self._meta(row, status, attempt)))
        except (ContentError, EncodeError):
            state = status if status in states.UNREADY_STATES else states.FAILURE
            return TaskResult(task_id, state, attempt, row["result"] or b"")

    def value(self, blob: bytes | None) -> Any:
        """Of a column. Raises ContentError. Celery once wrote pickles, whatever the serializer."""
        if blob is None:
            return None
        if blob.startswith(_PICKLE_MARK) and self.writes.safe and PICKLE.content_type in self.accept:
            return self._unpickled(blob)
        if self.writes.content_type not in self.accept:
            raise ContentError(f"{self.writes.content_type} is not accepted")
        return self.writes.loads(blob)

    def _unpickled(self, blob: bytes) -> Any:
        try:
            return self.writes.loads(blob)  # msgpack, too, may begin so
        except ContentError:
            value = PICKLE.loads(blob)
        return encode_failure(value, self.writes) if isinstance(value, BaseException) else value

    def _meta(self, row: Mapping[str, Any], status: str, attempt: int) -> dict[str, Any]:
        stamps = self.value(row["stamps"])
        stamps = stamps if isinstance(stamps, Mapping) else {}
        ours = stamps.get(_OURS)
        ours = ours if isinstance(ours, Mapping) else {}
        meta: dict[str, Any] = {
            "status": status,
            "result": self.value(row["result"]),
            "traceback": row["traceback"],
            "children": self.value(row["children"]) or [],
            "date_done": ours.get("date_done") if _is_of(ours, status, row["date_done"]) else _done(row, status),
        }
        meta |= {key: ours[key] for key in ("group_id", "parent_id") if key in ours}
        if any(row[key] is not None for key in (*_WORDS, *_CALL)):
            meta |= {key: self.value(row[key]) if key in _CALL else row[key] for key in _EXTENDED}
        if isinstance(headers := stamps.get("stamped_headers"), list | tuple):
            meta["stamped_headers"] = headers
            meta |= {key: item for key, item in dict(stamps.get("stamps") or {}).items() if key in headers}
        if attempt and self.writes.name != "json":
            meta["attempt"] = attempt
        return meta | {"task_id": row["task_id"]}


def _stamps(meta: Mapping[str, Any]) -> dict[str, Any]:
    """As Celery keeps them."""
    headers = meta.get("stamped_headers")
    if not headers:
        return {}
    return {"stamped_headers": headers, "stamps": {key: meta[key] for key in headers if key in meta}}


def _is_of(ours: Mapping[str, Any], status: str, date: datetime | None) -> bool:
    """Whether that row is still the one that we wrote."""
    written = ours.get("row")
    return (
        isinstance(written, list | tuple)
        and date is not None
        and list(written[:2]) == [status, date.isoformat(timespec="seconds")]
    )


def _done(row: Mapping[str, Any], status: str) -> str | None:
    date = row["date_done"]
    return date.replace(tzinfo=UTC).isoformat() if date is not None and status in states.READY_STATES else None


def _printable(text: str | None) -> str | None:
    """Without what no database takes: zeros and single surrogates."""
    return None if text is None else text.replace("\0", "�").encode("utf-8", "replace").decode()


def _short(text: Any) -> str | None:
    """Names are for people; one that is too long is cut off."""
    printable = _printable(None if text is None else str(text))
    return None if printable is None else printable[:LONGEST_WORD]
