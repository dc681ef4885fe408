"""The stored record of a task, in Celery's words and key order (docs/internals/wire-protocol.md, 5.1).

A record is written by joining pieces that are JSON already, since every task writes one; only the result itself
goes through the serializer. Reading accepts any order and what older Celerys left out.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from json.encoder import encode_basestring_ascii as _text
from typing import Any, NamedTuple

from celery_rs import states
from celery_rs.errors import ContentError
from celery_rs.serializers import JSON, Serializer

Child = Sequence[Any]
"""A result tuple, `[[id, parent], None]`."""


class Meta(NamedTuple):
    """A record as read. `result` is raw: a failure is still its JSON object (see `failure.decode_failure`)."""

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
    serializer: Serializer = JSON,
) -> bytes:
    """`now` is epoch seconds; `children` are task ids; `extended` are the fields of `result_extended`.

    Raises EncodeError for the result.
    """
    done = _text(iso(now)) if state in states.READY_STATES else "null"
    value = serializer.dumps(result, "result").decode("ascii")
    text = (
        f'{{"status": {_text(state)}, "result": {value}, "traceback": {_or_null(traceback)}, '
        f'"children": {_children(children)}, "date_done": {done}'
    )
    if group_id is not None:
        text += f', "group_id": {_text(group_id)}'
    if parent_id is not None:
        text += f', "parent_id": {_text(parent_id)}'
    for key, item in (extended or {}).items():
        text += f", {_text(key)}: {serializer.dumps(item, key).decode('ascii')}"
    return f'{text}, "task_id": {_text(task_id)}}}'.encode("ascii")


def decode_meta(raw: bytes) -> Meta:
    """Raises ContentError when it is not a record."""
    value = JSON.loads(raw)
    if not isinstance(value, dict) or not isinstance(value.get("status"), str):
        raise ContentError(f"expected a stored result with a status, got {raw[:80]!r}")
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


def iso(moment: float) -> str:
    """Epoch seconds as ISO 8601, in UTC."""
    return datetime.fromtimestamp(moment, UTC).isoformat()


def _or_null(text: str | None) -> str:
    return "null" if text is None else _text(text)


def _children(ids: Sequence[str] | None) -> str:
    if ids is None:
        return "null"
    if not ids:
        return "[]"
    return "[" + ", ".join(f"[[{_text(child)}, null], null]" for child in ids) + "]"
