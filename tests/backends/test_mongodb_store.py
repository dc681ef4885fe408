"""What is particular to a MongoDB, asked of a server."""

import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pymongo
import pytest

from celery_rs.backends.mongodb import MongoBackend, open_store
from celery_rs.backends.opening import Opening
from celery_rs.errors import BackendError
from celery_rs.wire import TaskResult, decode_failure, decode_meta, encode_meta
from tests import mongodb_server
from tests.deadlines import DEADLINE_S

pytestmark = pytest.mark.skipif(
    not mongodb_server.answers(), reason="no server of MongoDB's protocol at CELERY_RS_TEST_MONGODB: run `make test`"
)


@pytest.fixture
def database() -> Iterator[Any]:
    """Of the test's own."""
    client: pymongo.MongoClient[Any] = pymongo.MongoClient(mongodb_server.URL)
    database = client[f"celery_rs_{secrets.token_hex(6)}"]
    yield database
    client.drop_database(database)
    client.close()


def opened(database: Any, **settings: Any) -> MongoBackend:
    given = {"mongodb_backend_settings": {"database": database.name}, **settings}
    return open_store(Opening(mongodb_server.URL, {}, given, 3600.0))


@pytest.fixture
def store(database: Any) -> Iterator[MongoBackend]:
    with closing(opened(database)) as store:
        yield store


def record(task_id: str = "a", state: str = "SUCCESS", attempt: int = 0, result: object = None) -> TaskResult:
    return TaskResult(task_id, state, attempt, encode_meta(task_id, state, result, now=0.0))


def test_the_server_drops_what_has_expired(database: Any, store: MongoBackend) -> None:
    store.store([record()])

    indexes = database.celery_taskmeta.index_information()

    assert indexes["expires_at_1"]["expireAfterSeconds"] == 0
    assert "date_done_1" in indexes


def test_a_user_who_may_not_make_indexes_has_results_all_the_same(
    database: Any, store: MongoBackend, caplog: pytest.LogCaptureFixture
) -> None:
    database.celery_taskmeta.create_index("date_done", name="date_done_1", unique=True)

    assert list(store.store([record()])) == [True]

    assert "no index by dates (" in caplog.text
    assert caplog.text.count("\n") == 1


def test_a_record_of_celerys_is_of_the_first_attempt(database: Any, store: MongoBackend) -> None:
    database.celery_taskmeta.insert_one({"_id": "a", "status": "FAILURE", "result": "null", "date_done": None})

    assert list(store.store([record(state="FAILURE"), record(state="STARTED", attempt=1)])) == [False, False]
    assert list(store.store([record(attempt=1)])) == [True]


def test_writers_of_one_record_do_not_undo_each_other(database: Any, store: MongoBackend) -> None:
    """Each writes its attempts in order; the last attempt of all is what stays."""

    def write(first: int) -> None:
        with closing(opened(database)) as own:
            for attempt in range(first, 40, 4):
                own.store([record(state="FAILURE", attempt=attempt, result={"exc_type": str(attempt)})])

    writers = [threading.Thread(target=write, args=(first,)) for first in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    assert store.fetch(["a"])["a"].attempt == 39


def test_a_result_that_no_document_can_hold_is_a_failure_that_says_so(store: MongoBackend) -> None:
    assert list(store.store([record(result="x" * (16 << 20)), record("b")])) == [True, True]

    told = store.fetch(["a"])["a"]
    assert told.state == "FAILURE"
    assert str(decode_failure(decode_meta(told.meta).result)).startswith(
        "the record SUCCESS cannot be stored: the record of task a has "
    )


def test_an_id_that_is_no_text_is_passed_over(store: MongoBackend) -> None:
    odd = "\ud800"

    assert list(store.store([record(odd), record("b")])) == [False, True]
    assert set(store.fetch([odd, "b"])) == {"b"}
    store.forget([odd])
    with pytest.raises(BackendError, match="has no such name"):
        store.fetch_group(odd)
    with pytest.raises(BackendError, match="has no such name"):
        store.open_chord(odd, 1)


@pytest.mark.parametrize("task_id", ["", "a\0b", "$where", "a.b", "é" * 2000])
def test_any_other_id_will_do(store: MongoBackend, task_id: str) -> None:
    assert list(store.store([record(task_id)])) == [True]
    assert store.fetch([task_id]) == {task_id: record(task_id)}


def test_progress_that_no_document_can_hold_is_passed_over(store: MongoBackend) -> None:
    assert list(store.store([record(state="PROGRESS", result="x" * (16 << 20)), record("b")])) == [False, True]


def test_a_document_of_another_program_is_a_failure_to_who_waits(database: Any, store: MongoBackend) -> None:
    database.celery_taskmeta.insert_one({"_id": "a", "title": "x"})

    (told,) = store.watch(["a"], DEADLINE_S)

    assert "is it a collection of another program's?" in str(decode_failure(decode_meta(told.meta).result))


def test_a_chord_whose_results_are_too_large_is_one_line(store: MongoBackend) -> None:
    store.open_chord("g", 2)

    with pytest.raises(BackendError, match=r"the results of chord 'g' have .* bytes") as caught:
        store._pages.change("g", lambda page: b"x" * (16 << 20))

    assert "\n" not in str(caught.value)


def test_a_forked_child_connects_anew(store: MongoBackend) -> None:
    store.store([record()])
    reads, writes = os.pipe()
    pid = os.fork()
    if pid == 0:  # in the child nothing may escape
        try:
            os.write(writes, store.fetch(["a"])["a"].state.encode())
        finally:
            os._exit(0)
    os.close(writes)

    assert os.read(reads, 100) == b"SUCCESS"
    os.waitpid(pid, 0)
    os.close(reads)
    assert store.fetch(["a"]) == {"a": record()}


def test_a_closed_store_connects_anew(store: MongoBackend) -> None:
    store.store([record()])
    store.close()

    assert store.fetch(["a"]) == {"a": record()}
