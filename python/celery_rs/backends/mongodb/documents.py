"""A record ⇄ a document of Celery's. Pure.

`result` is serialized by itself; the other fields are BSON's own, and of ours there are `attempt` and `expires_at`.
Times are kept to the millisecond. The documents that are written are encoded here, so that what BSON lacks is found
out before anything is sent.
"""

import json
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from celery_rs import states
from celery_rs.backends.mongodb.driver import bson
from celery_rs.backends.mongodb.expiry import Expiry
from celery_rs.errors import BackendGetMetaError, CeleryError, ContentError, EncodeError
from celery_rs.serializers import JSON, pack_result, unpack_result
from celery_rs.wire import ResultCodec, TaskResult, decode_group, encode_failure, encode_group, encode_meta, read_meta

Document = Mapping[str, Any]

MOST_BYTES = 16 << 20
"""What a server takes as one document."""

_OURS = frozenset({"_id", "attempt", "expires_at"})
_CELERYS = frozenset(
    {
        "status", "result", "traceback", "children", "date_done", "group_id", "parent_id", "name", "worker", "retries",
        "queue",
    }
)  # fmt: skip
_NEEDED = ("status", "result")
_UNKNOWN_TO_BSON = (bson.errors.BSONError, OverflowError, UnicodeError, TypeError, ValueError)


class DocumentCodec(NamedTuple):
    """`codec` is how results are written, and records are taken and given; `accept` are the content types to read."""

    codec: ResultCodec
    accept: Collection[str]
    expiry: Expiry

    # Records

    def document(self, record: TaskResult, now: float) -> bytes:
        """Raises ContentError or EncodeError for what cannot be one."""
        meta = read_meta(record.meta, self.codec.serializer)
        done = meta.get("date_done")
        kept = {key: item for key, item in meta.items() if key != "task_id" and key not in _OURS}
        called = {key: _called(item) for key, item in kept.items() if key not in _CELERYS}
        fields = {
            **kept,
            **called,
            "result": self._written(meta.get("result"), "result"),
            "traceback": _printable(meta.get("traceback")),
            "date_done": datetime.fromisoformat(done) if done else None,
            "_id": record.task_id,
            "attempt": record.attempt,
            **self.expiry.field(now, record.state),
        }
        return _encoded(fields, f"the record of task {_named(record.task_id)}")

    def record(self, document: Document) -> TaskResult:
        """What cannot be read is a failure that says what is wrong with it, to whoever waits."""
        attempt = document.get("attempt")
        attempt = attempt if isinstance(attempt, int) else 0
        try:
            meta = self._meta(document, attempt)
            return TaskResult(document["_id"], meta["status"], attempt, self._record(meta))
        except (CeleryError, TypeError, ValueError) as error:
            return self.failure(
                document["_id"],
                attempt,
                BackendGetMetaError(f"the document {document['_id']!r} cannot be read: {error}"),
                done=0.0,
            )

    def failure(self, task_id: str, attempt: int, error: Exception, *, done: float) -> TaskResult:
        """A record of one."""
        said = encode_failure(error, self.codec.serializer)
        meta = encode_meta(task_id, states.FAILURE, said, now=done, codec=self.codec, attempt=attempt)
        return TaskResult(task_id, states.FAILURE, attempt, meta)

    def _meta(self, document: Document, attempt: int) -> dict[str, Any]:
        """In the order in which a record is written."""
        missing = [field for field in _NEEDED if field not in document]
        if missing or not isinstance(document["status"], str):
            found = ", ".join(sorted(document))
            raise ContentError(
                f"expected Celery's fields {', '.join(_NEEDED)}, got {found}; is it a collection of another program's?"
            )
        meta: dict[str, Any] = {
            "status": document["status"],
            "result": self._read(document["result"]),
            "traceback": document.get("traceback"),
            "children": document.get("children"),
            "date_done": _iso(document.get("date_done")),
        }
        meta |= {
            key: item if key in _CELERYS else _as_called(item)
            for key, item in document.items()
            if key not in meta and key not in _OURS
        }
        if attempt and not self.codec.is_plain:
            meta["attempt"] = attempt
        return meta | {"task_id": document["_id"]}

    def _record(self, meta: Mapping[str, Any]) -> bytes:
        raw = self.codec.serializer.dumps(meta, "the record")
        return raw if self.codec.compression is None else pack_result(raw, self.codec.compression)

    # Groups

    def group(self, group: str, meta: bytes, now: float) -> bytes:
        """Celery keeps the ids of the members; all else that a group has is in a field of ours."""
        _, members = described = decode_group(meta, self.codec.serializer)
        fields = {
            "_id": group,
            "result": self._written([member[0][0] for member in members], "the group"),
            "date_done": datetime.fromtimestamp(now, UTC),
            "described": self._written(described, "the group"),
            **self.expiry.field(now),
        }
        return _encoded(fields, f"group {_named(group)}")

    def read_group(self, document: Document) -> bytes:
        """As it was saved, or as far as a document of Celery's tells."""
        try:
            described = document.get("described")
            if described is not None:
                return encode_group(self._read(described), self.codec)
            members = [[[member, None], None] for member in self._read(document["result"])]
            return encode_group([[document["_id"], None], members], self.codec)
        except (CeleryError, KeyError, TypeError) as error:
            raise BackendGetMetaError(
                f"the saved group {document['_id']!r} cannot be read: {error}", task_id=document["_id"]
            ) from None

    # Values

    def _written(self, value: object, name: str) -> Any:
        """Text where the serializer writes text, bytes where it does not or where they are compressed."""
        serializer = self.codec.serializer
        if serializer.name == "bson":
            return value
        raw = serializer.dumps(value, name)
        if self.codec.compression is not None:
            return pack_result(raw, self.codec.compression)
        return raw if serializer.content_encoding == "binary" else raw.decode(serializer.content_encoding)

    def _read(self, value: Any) -> Any:
        serializer = self.codec.serializer
        if serializer.content_type not in self.accept:
            raise ContentError(f"{serializer.content_type} is not accepted; add it to result_accept_content")
        if serializer.name == "bson":
            return value
        raw = value.encode() if isinstance(value, str) else value
        if not isinstance(raw, bytes):
            raise ContentError(
                f"expected a result as {serializer.name}, got {type(value).__name__} {str(value)[:80]!r}; "
                "was it written with another result_serializer?"
            )
        return serializer.loads(unpack_result(raw))


def is_text(text: str) -> bool:
    """Whether BSON takes it: it has no single surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _named(id: str) -> str:
    """An id in a message."""
    return id if is_text(id) else ascii(id)


def _encoded(fields: Mapping[str, Any], name: str) -> bytes:
    try:
        raw = bson.encode(fields)
    except _UNKNOWN_TO_BSON as error:
        raise EncodeError(f"{name} cannot be written as BSON: {' '.join(str(error).split())[:200]}") from None
    if len(raw) > MOST_BYTES:
        raise EncodeError(f"{name} has {len(raw)} bytes, and a MongoDB takes {MOST_BYTES} as one document")
    return raw


def _called(value: Any) -> Any:
    """Arguments and stamps as fields: what JSON lacks by its type tags, what no BSON holds as its repr."""
    try:
        plain = json.loads(JSON.dumps(value))
        bson.encode({"": plain})
    except (EncodeError, RecursionError, *_UNKNOWN_TO_BSON):
        return _printable(repr(value))
    return plain


def _as_called(value: Any) -> Any:
    """Back again. Celery's documents hold what BSON has."""
    try:
        return JSON.loads(json.dumps(value).encode())
    except (ContentError, TypeError):
        return value


def _printable(text: str | None) -> str | None:
    """Without single surrogates, which BSON does not take."""
    return None if text is None else text.encode("utf-8", "replace").decode()


def _iso(moment: Any) -> str | None:
    """MongoDB's dates are UTC."""
    if not isinstance(moment, datetime):
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()
