"""What lies in the columns: in every serializer, as Celery writes it, and what cannot be read or stored."""

import pickle
from collections.abc import Mapping
from typing import Any

import pytest
import sqlalchemy as sa

from celery_rs.backends.opening import Opening
from celery_rs.backends.sql import SqlBackend, open_store
from celery_rs.serializers import JSON, serializer
from celery_rs.wire import ResultCodec, TaskResult, decode_failure, decode_meta, encode_meta, read_meta
from tests.backends.sql_opened import Open, open_sql, record, store, url

__all__ = ["open_sql", "store", "url"]

SERIALIZERS = ["json", "pickle", "yaml", "msgpack"]
EXTENDED = {"name": "proj.add", "args": [1, "é"], "kwargs": {"k": None}, "worker": "w@h", "retries": 3, "queue": "q"}


def row_of(store: SqlBackend, task_id: str) -> Mapping[str, Any]:
    tasks = store.tables.tasks
    wanted = sa.select(tasks).where(tasks.c.task_id == task_id)
    return store.database.ask(lambda connection: dict(connection.execute(wanted).mappings().one()))


def set_row(store: SqlBackend, task_id: str, **values: Any) -> None:
    tasks = store.tables.tasks
    update = sa.update(tasks).where(tasks.c.task_id == task_id).values(values)
    store.database.ask(lambda connection: connection.execute(update))


@pytest.mark.parametrize("name", SERIALIZERS)
def test_a_record_comes_back_as_it_was(open_sql: Open, name: str) -> None:
    store = open_sql(result_serializer=name, accept_content=[name])
    meta = encode_meta(
        "a", "FAILURE", {"exc_type": "ValueError"}, now=1e9, traceback="Traceback\n", children=["c"], group_id="g",
        parent_id="p", extended=EXTENDED, codec=ResultCodec(serializer(name)), attempt=3,
    )  # fmt: skip
    stored = TaskResult("a", "FAILURE", 3, meta)

    store.store([stored])

    assert store.fetch(["a"]) == {"a": stored}
    assert serializer(name).loads(row_of(store, "a")["result"]) == {"exc_type": "ValueError"}


def test_the_columns_hold_what_celery_keeps_in_them(store: SqlBackend) -> None:
    store.store([record("a", attempt=3, result={"sum": 3}, extended=EXTENDED), record("b", children=["c"])])

    extended, plain = row_of(store, "a"), row_of(store, "b")
    assert extended["result"] == b'{"sum": 3}'
    assert extended["children"] is None
    assert [JSON.loads(extended["args"]), JSON.loads(extended["kwargs"])] == [[1, "é"], {"k": None}]
    assert [extended[name] for name in ("name", "worker", "retries", "queue")] == ["proj.add", "w@h", 3, "q"]
    assert JSON.loads(plain["children"]) == [[["c", None], None]]


def test_stamps_lie_where_celery_keeps_them(store: SqlBackend) -> None:
    meta = read_meta(record("a").meta) | {"stamped_headers": ["tenant"], "tenant": "acme"}
    store.store([TaskResult("a", "SUCCESS", 0, JSON.dumps(meta))])

    kept = JSON.loads(row_of(store, "a")["stamps"])
    assert kept["stamped_headers"] == ["tenant"]
    assert kept["stamps"] == {"tenant": "acme"}
    assert read_meta(store.fetch(["a"])["a"].meta) == meta


def test_a_row_that_celery_has_written_over_ours_is_dated_as_it_says(store: SqlBackend) -> None:
    store.store([record("a", "STARTED", group_id="g")])
    set_row(store, "a", status="SUCCESS", result=b"7")  # it leaves what it does not know

    read = decode_meta(store.fetch(["a"])["a"].meta)

    assert (read.status, read.result, read.group_id) == ("SUCCESS", 7, "g")
    assert read.date_done is not None
    assert read.date_done.startswith("20")


def test_a_pickle_of_an_older_celery_is_read_where_pickle_is_accepted(open_sql: Open) -> None:
    trusting, careful = open_sql(accept_content=["json", "pickle"]), open_sql()
    trusting.store([record("a"), record("b", "FAILURE")])
    set_row(trusting, "a", result=pickle.dumps({"sum": 3}), stamps=None)
    set_row(trusting, "b", result=pickle.dumps(ValueError("boom", 1)), stamps=None)

    found = trusting.fetch(["a", "b"])
    error = decode_failure(decode_meta(found["b"].meta).result)
    assert decode_meta(found["a"].meta).result == {"sum": 3}
    assert (type(error), error.args) == (ValueError, ("boom", 1))

    refused = careful.fetch(["a"])["a"]
    assert refused.state == "FAILURE"
    assert refused.meta == pickle.dumps({"sum": 3}), "it is not unpickled, and who reads it says what is wrong"


def test_a_result_that_cannot_be_read_ends_the_wait_for_it(store: SqlBackend) -> None:
    store.store([record("a"), record("b", "STARTED")])
    set_row(store, "a", result=b"nonsense")
    set_row(store, "b", result=b"nonsense")

    assert [one.task_id for one in store.watch(["a", "b"], 0.05)] == ["a"]
    assert store.fetch(["b"])["b"].state == "STARTED"


def test_a_result_of_many_megabytes_is_stored(store: SqlBackend) -> None:
    long = record("long", result="x" * 5_000_000)
    batch = [record(f"task-{number}", result="x" * 300_000) for number in range(10)]

    assert all(store.store([*batch, long]))

    assert store.fetch(["long"]) == {"long": long}
    assert len(store.fetch([one.task_id for one in batch])) == 10


def test_a_batch_of_thousands_is_stored_and_fetched(store: SqlBackend) -> None:
    batch = [record(f"task-{number}", result=number) for number in range(3000)]

    assert all(store.store(batch))

    assert store.fetch([one.task_id for one in batch]) == {one.task_id: one for one in batch}


def test_text_that_no_database_takes_is_stored_without_it(store: SqlBackend) -> None:
    meta = read_meta(record("a", "FAILURE").meta) | {"traceback": "zero \0, half \ud800", "name": "n" * 200}
    store.store([TaskResult("a", "FAILURE", 0, JSON.dumps(meta))])

    read = decode_meta(store.fetch(["a"])["a"].meta)
    assert read.traceback == "zero �, half ?"
    assert read.name == "n" * 155


def test_a_result_that_is_refused_becomes_a_failure_that_says_so(
    open_sql: Open, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    if not url.startswith("mysql"):
        pytest.skip("there no column is too narrow for a result")
    store = open_sql()
    store.database.ask(
        lambda connection: connection.exec_driver_sql("ALTER TABLE celery_taskmeta MODIFY result BLOB"),
        *store.tables.of_results,
    )
    batch = [record("a"), record("b", result="x" * 70_000), record("c", "PROGRESS", result="x" * 70_000)]

    assert list(store.store(batch)) == [True, True, False]

    found = store.fetch(["a", "b", "c"])
    error = decode_failure(decode_meta(found["b"].meta).result)
    assert found["a"] == record("a")
    assert type(error).__name__ == "BackendStoreError"
    assert "Data too long for column 'result'" in str(error)
    assert "c" not in found
    assert "the record SUCCESS of task b cannot be stored" in caplog.text


def test_a_result_for_which_the_server_hangs_up_becomes_a_failure_and_holds_up_no_other(store: SqlBackend) -> None:
    longest = store.database.longest_statement()
    if longest is None or longest > 1 << 25:
        pytest.skip("there a statement may be as long as one likes")
    batch = [record("a"), record("b", result="x" * longest), record("c")]

    assert list(store.store(batch)) == [True, True, True]

    found = store.fetch(["a", "b", "c"])
    error = decode_failure(decode_meta(found["b"].meta).result)
    assert (found["a"], found["c"]) == (record("a"), record("c"))
    assert type(error).__name__ == "BackendStoreError"
    assert f"no statement of more than {longest} bytes (max_allowed_packet)" in str(error)


def test_an_id_that_no_row_can_have_is_logged_and_holds_nothing_up(
    store: SqlBackend, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    if url.startswith("sqlite"):
        pytest.skip("there a column takes any id")

    assert list(store.store([record("a"), record("x" * 200), record("b")])) == [True, False, True]

    assert store.fetch(["a", "b"]).keys() == {"a", "b"}
    assert "nor can task" in caplog.text


def test_any_dialect_does_for_a_record_in_yaml_that_names_a_class(url: str) -> None:
    store = open_store(Opening(f"db+{url}", {}, {"result_serializer": "yaml", "accept_content": ["yaml"]}, None))
    store.store([TaskResult("a", "SUCCESS", 0, serializer("yaml").dumps({"status": "SUCCESS", "result": 1}))])
    set_row(store, "a", result=b"!!python/object/apply:os.getcwd []")

    assert store.fetch(["a"])["a"].state == "FAILURE"
    store.close()
