"""Results by other serializers and compressed: read as Celery wrote them, written as Celery reads them."""

import json
import pickle
import zlib
from typing import Any

import pytest

from celery_rs import Celery, errors, states
from celery_rs.serializers import JSON, PICKLE, pack_result, serializer, unpack_result
from celery_rs.wire import ResultCodec, TaskResult, decode_failure, decode_meta, encode_failure, encode_meta
from tests.apps import call, make_app
from tests.deadlines import DEADLINE_S
from tests.serialized import result

NAMES = ("pickle", "yaml", "msgpack")
MARK = b"\x00celery-compressed\x00application/x-gzip\x00"


class Odd(Exception):
    """Cannot be pickled: it wants what it does not keep."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__("odd")


def failing(**settings: Any) -> tuple[Celery, Any, Any]:
    app = make_app(**settings)

    @app.task(name="good")
    def good() -> dict[str, int]:
        return {"sum": 3}

    @app.task(name="bad")
    def bad() -> None:
        raise ValueError("boom", 1)

    return app, good, bad


def stored(app: Celery, task: Any) -> tuple[bytes, Any]:
    """What is stored of a run, and its handle."""
    record = call(app, task, task_id="id").record
    assert record is not None
    app.backend.store([record])
    return record.meta, app.AsyncResult("id")


@pytest.mark.parametrize("name", NAMES)
def test_records_of_celerys_are_read(name: str) -> None:
    success, failure = (decode_meta(raw, serializer(name)) for raw in result(f"redis-serializer-{name}"))

    assert (success.status, success.result, success.parent_id) == ("SUCCESS", {"sum": 3}, "p-1")
    error = decode_failure(failure.result)
    assert type(error) is ValueError
    assert error.args == ("boom", 1)


@pytest.mark.parametrize("name", NAMES)
def test_a_record_is_what_celery_writes(name: str) -> None:
    for raw in result(f"redis-serializer-{name}"):
        theirs = decode_meta(raw, serializer(name))
        told = theirs.result
        if theirs.status == states.FAILURE:
            told = encode_failure(decode_failure(told), serializer(name))
        ours = encode_meta(
            theirs.task_id,
            theirs.status,
            told,
            now=0.0,
            traceback=theirs.traceback,
            group_id=theirs.group_id,
            parent_id=theirs.parent_id,
            codec=ResultCodec(serializer(name)),
        )

        assert len(ours) in range(len(raw) - 8, len(raw) + 1)  # the time has no microseconds
        keys = list(serializer(name).loads(ours))
        assert keys == list(serializer(name).loads(raw))


@pytest.mark.parametrize("name", NAMES)
def test_a_result_is_stored_by_the_serializer_of_the_setting(name: str) -> None:
    app, good, bad = failing(result_serializer=name, result_accept_content=[name])

    raw, handle = stored(app, good)
    assert serializer(name).loads(raw)["status"] == "SUCCESS"
    assert handle.get(timeout=DEADLINE_S) == {"sum": 3}

    app, good, bad = failing(result_serializer=name, result_accept_content=[name])
    _, handle = stored(app, bad)
    with pytest.raises(ValueError, match="boom") as caught:
        handle.get(timeout=DEADLINE_S)
    assert caught.value.args == ("boom", 1)


def test_with_pickle_the_exception_itself_is_stored() -> None:
    app, _, bad = failing(result_serializer="pickle", result_accept_content=["pickle"])

    told = pickle.loads(stored(app, bad)[0])["result"]

    assert type(told) is ValueError
    assert told.args == ("boom", 1)


@pytest.mark.parametrize("error", [Odd(1, 2), errors.WorkerLostError("gone"), errors.RemoteError("a.B", "text")])
def test_exceptions_that_others_could_not_unpickle_are_told_of(error: Exception) -> None:
    raw = PICKLE.dumps(encode_failure(error, PICKLE))

    assert b"celery_rs" not in raw
    assert isinstance(decode_failure(PICKLE.loads(raw)), Exception)


def test_an_exception_that_celery_could_not_pickle_is_told_of() -> None:
    class Wrapper(Exception):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            self.text = args[3]

    Wrapper.__module__, Wrapper.__qualname__ = "celery.utils.serialization", "UnpickleableExceptionWrapper"
    body = pickle.dumps(("builtins", "KeyError", ("k",), "KeyError('k')"), 4)[2:-1]
    name = pickle.dumps(Wrapper.__module__, 4)[2:-1] + pickle.dumps(Wrapper.__qualname__, 4)[2:-1] + b"\x93"
    raw = b"\x80\x04" + name + body + b"R" + pickle.dumps({"text": "KeyError('k')"}, 4)[2:-1] + b"b."

    error = decode_failure(PICKLE.loads(raw))

    assert type(error) is KeyError
    assert error.args == ("k",)


def test_what_would_end_the_program_is_not_raised() -> None:
    assert isinstance(decode_failure(SystemExit(1)), errors.RemoteError)


def test_results_of_another_content_type_are_refused() -> None:
    app, good, _ = failing(result_serializer="pickle", accept_content=["json", "pickle"])
    assert stored(app, good)[1].get(timeout=DEADLINE_S) == {"sum": 3}

    app, good, _ = failing(result_serializer="pickle", accept_content=["pickle"], result_accept_content=["json"])
    handle = stored(app, good)[1]
    with pytest.raises(errors.ContentDisallowed, match="'application/x-python-serialize' is refused"):
        handle.get(timeout=DEADLINE_S)
    for others in ([], ["no-such-serializer"]):
        with pytest.raises(errors.ImproperlyConfigured, match=r"^result_accept_content must be a list "):
            make_app(result_accept_content=others).conf.result_accept_content  # noqa: B018  (read where it is checked)


def test_a_result_that_cannot_be_written_is_a_failure_that_says_so() -> None:
    app = make_app(result_serializer="msgpack", result_accept_content=["msgpack"])

    @app.task(name="odd")
    def odd() -> complex:
        return 1j

    assert "result cannot be written as msgpack" in call(app, odd).text


def test_compressed_records_of_celerys_are_read() -> None:
    success, failure = result("redis-compressed-gzip")

    assert success.startswith(MARK)
    assert decode_meta(success).result == {"sum": 3}
    assert decode_meta(failure).status == "FAILURE"


def test_a_result_is_stored_compressed_and_read_where_that_is_off() -> None:
    app, good, _ = failing(result_compression="gzip")

    raw, handle = stored(app, good)

    assert raw.startswith(MARK)
    assert json.loads(zlib.decompress(raw.removeprefix(MARK)))["result"] == {"sum": 3}
    assert handle.get(timeout=DEADLINE_S) == {"sum": 3}
    others = make_app()
    others.backend.store([TaskResult("id", "SUCCESS", 0, raw)])
    assert others.AsyncResult("id").get(timeout=DEADLINE_S) == {"sum": 3}


@pytest.mark.parametrize("method", ["zlib", "bzip2", "xz", "brotli", "zstandard", "application/zstd"])
def test_packing_is_undone_and_done_once(method: str) -> None:
    packed = pack_result(b"{}" * 50, method)

    assert pack_result(packed, method) == packed
    assert unpack_result(packed) == b"{}" * 50
    assert unpack_result(b"{}") == b"{}"


@pytest.mark.parametrize("raw", [MARK + b"junk", b"\x00celery-compressed\x00", b"\x00celery-compressed\x00\xff\x00a"])
def test_a_broken_packing_is_one_error(raw: bytes) -> None:
    with pytest.raises(errors.ContentError):
        decode_meta(raw, JSON)
