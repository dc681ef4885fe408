"""A record as a document of Celery's, and back: nothing is asked of a server."""

import json
from datetime import UTC, datetime
from typing import Any

import bson
import pytest
from bson.codec_options import CodecOptions

from celery_rs.backends.mongodb.documents import DocumentCodec
from celery_rs.backends.mongodb.expiry import Expiry
from celery_rs.errors import EncodeError
from celery_rs.serializers import serializer
from celery_rs.wire import ResultCodec, TaskResult, decode_failure, decode_meta, encode_meta

NOW = 1_795_352_764.125
AWARE: CodecOptions[dict[str, Any]] = CodecOptions(tz_aware=True)
EXTENDED = {
    "name": "proj.add",
    "args": [1, 2],
    "kwargs": {"k": 1},
    "worker": "w1@host",
    "retries": 2,
    "queue": "celery",
}


def codec(name: str = "json", compression: str | None = None, expires: float | None = None) -> DocumentCodec:
    written_by = serializer(name)
    return DocumentCodec(ResultCodec(written_by, compression), {written_by.content_type}, Expiry(expires))


def record(result: object = None, state: str = "SUCCESS", attempt: int = 0, **options: Any) -> TaskResult:
    return TaskResult("a", state, attempt, encode_meta("a", state, result, now=NOW, attempt=attempt, **options))


def document(of: TaskResult, by: DocumentCodec | None = None) -> dict[str, Any]:
    return bson.decode((by or codec()).document(of, NOW), AWARE)


def test_a_document_has_the_fields_of_celerys_and_two_of_ours() -> None:
    stored = record({"sum": 3}, group_id="g-1", parent_id="p-1", extended=EXTENDED, children=["c"], attempt=2)

    # fixtures/results/mongodb and mongodb-extended
    assert document(stored, codec(expires=60.0)) == {
        "status": "SUCCESS",
        "result": '{"sum": 3}',
        "traceback": None,
        "children": [[["c", None], None]],
        "date_done": datetime.fromtimestamp(NOW, UTC),
        "group_id": "g-1",
        "parent_id": "p-1",
        **EXTENDED,
        "_id": "a",
        "attempt": 2,
        "expires_at": datetime.fromtimestamp(NOW + 60, UTC),
    }


@pytest.mark.parametrize("compression", [None, "gzip"])
@pytest.mark.parametrize("name", ["json", "pickle", "yaml", "msgpack", "bson"])
def test_a_record_comes_back_as_it_was(name: str, compression: str | None) -> None:
    by = codec(name, compression)
    for stored in (
        record({"sum": 3}, codec=by.codec),
        record("é", attempt=3, codec=by.codec, group_id="g", extended=EXTENDED),
        record({"pid": 1}, "STARTED", codec=by.codec),
        record(None, children=None, codec=by.codec, traceback="Traceback ..."),
    ):
        assert by.record(document(stored, by)) == stored


@pytest.mark.parametrize(
    ("name", "compression", "kind"),
    [
        ("json", None, str),
        ("yaml", None, str),
        ("pickle", None, bytes),
        ("msgpack", None, bytes),
        ("json", "gzip", bytes),
    ],
)
def test_a_result_is_text_where_it_is_text(name: str, compression: str | None, kind: type) -> None:
    by = codec(name, compression)

    assert type(document(record([1], codec=by.codec), by)["result"]) is kind


def test_a_result_in_bson_is_kept_as_it_is() -> None:
    moment = datetime(2026, 11, 28, tzinfo=UTC)
    by = codec("bson")

    kept = document(record({"at": moment}, codec=by.codec), by)

    assert kept["result"] == {"at": moment}
    assert decode_meta(by.record(kept).meta, by.codec.serializer).result == {"at": moment}


def test_arguments_that_bson_has_not_got_are_kept_as_json_or_for_people() -> None:
    moment = datetime(2026, 11, 28, tzinfo=UTC)
    stored = record(extended={**EXTENDED, "args": [moment], "kwargs": {"big": 1 << 80}})

    kept = document(stored)

    assert kept["kwargs"] == repr({"big": 1 << 80})
    assert decode_meta(codec().record(kept).meta).args == [moment]


def test_a_traceback_that_is_no_text_is_kept_as_far_as_it_is() -> None:
    assert document(record(traceback="\ud800 é"))["traceback"] == "? é"


def test_a_record_that_is_too_large_says_so() -> None:
    with pytest.raises(EncodeError, match=r"the record of task a has 167\d+ bytes, and a MongoDB takes 16777216"):
        document(record("x" * (16 << 20)))


def read(**fields: Any) -> BaseException:
    """What whoever waits is told of such a document."""
    told = codec().record({"_id": "a", **fields})
    assert told.state == "FAILURE"
    return decode_failure(decode_meta(told.meta).result)


def test_a_document_of_another_program_says_what_is_missing() -> None:
    assert str(read(title="x", author="y")) == (
        "the document 'a' cannot be read: expected Celery's fields status, result, got _id, author, title; "
        "is it a collection of another program's?"
    )


def test_a_result_of_another_serializer_says_what_to_ask() -> None:
    assert "was it written with another result_serializer?" in str(read(status="SUCCESS", result=3.5))
    assert "expected JSON" in str(read(status="SUCCESS", result=b"\x80\x04N."))


def test_nothing_is_read_that_is_not_accepted() -> None:
    pickled = serializer("pickle")
    by = DocumentCodec(ResultCodec(pickled), {"application/json"}, Expiry(None))

    told = by.record({"_id": "a", "status": "SUCCESS", "result": pickled.dumps(1)})

    error = decode_failure(decode_meta(told.meta, pickled).result)
    assert "is not accepted; add it to result_accept_content" in str(error)


def test_a_group_has_the_ids_of_its_members_and_all_that_it_was() -> None:
    described = [["g", [["up", None], None]], [[["a", None], None], [["inner", None], [[["b", None], None]]]]]
    saved = json.dumps({"result": described}).encode()

    kept = bson.decode(codec(expires=60.0).group("g", saved, NOW), AWARE)

    assert kept["result"] == '["a", "inner"]'
    assert kept["expires_at"] > kept["date_done"]
    assert json.loads(codec().read_group(kept)) == {"result": described}


def test_a_group_that_celery_has_saved_is_its_members() -> None:
    # fixtures/results/mongodb
    kept = {"_id": "g", "result": '["aaaa", "bbbb"]', "date_done": datetime.now(UTC)}

    assert json.loads(codec().read_group(kept)) == {
        "result": [["g", None], [[["aaaa", None], None], [["bbbb", None], None]]]
    }
