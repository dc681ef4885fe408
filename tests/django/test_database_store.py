"""The store `django-db`: what its rows look like, whose rows it reads, and what the project has to say."""

import base64
import json
import logging
import pickle
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from celery_rs.backends.opening import Opening
from celery_rs.errors import BackendError, ImproperlyConfigured
from celery_rs.serializers import JSON, PICKLE
from celery_rs.wire import ResultCodec, TaskResult, encode_meta, read_meta
from tests.deadlines import DEADLINE_S
from tests.django.configured import database, migrate, set_up, sqlite
from tests.django.mariadb import mariadb_database

EXTENDED = {"name": "shop.add", "args": [2, [3]], "kwargs": {"z": 1}, "worker": "w@host", "retries": 1, "queue": None}


def record(task_id: str = "a", state: str = "SUCCESS", result: Any = None, attempt: int = 0, **more: Any) -> TaskResult:
    return TaskResult(task_id, state, attempt, encode_meta(task_id, state, result, now=1.5, **more))


def test_a_row_has_what_the_package_writes(open_store, tasks):
    open_store().store([record(result={"x": [1]}, children=["child"], extended=EXTENDED, attempt=1)])

    row = tasks.get()
    assert (row.status, row.content_type, row.content_encoding) == ("SUCCESS", "application/json", "utf-8")
    assert row.result == '{"x": [1]}'
    assert json.loads(row.meta)["children"] == [[["child", None], None]]
    assert (row.task_name, row.worker) == ("shop.add", "w@host")
    assert (json.loads(row.task_args), json.loads(row.task_kwargs)) == ("(2, [3])", "{'z': 1}")


def test_an_extended_record_comes_back_as_it_was(open_store):
    stored = record(result=1, extended=EXTENDED, group_id="g", parent_id="p", attempt=2, children=["child"])

    store = open_store()
    store.store([stored])

    assert store.fetch(["a"]) == {"a": stored}


def test_names_too_long_for_their_columns_are_cut_there_and_come_back_whole(open_store, tasks):
    stored = record(extended={**EXTENDED, "worker": "w" * 300, "name": "n" * 400})
    store = open_store()

    store.store([stored])

    assert (len(tasks.get().worker), len(tasks.get().task_name)) == (100, 255)
    assert store.fetch(["a"]) == {"a": stored}


def test_a_row_of_celerys_is_read(open_store, tasks):
    tasks.create(
        task_id="a",
        status="SUCCESS",
        content_type="application/json",
        content_encoding="utf-8",
        result="[1, 2]",
        meta='{"children": []}',
        task_name="shop.add",
        task_args='"(2, 3)"',
        task_kwargs='"{}"',
        worker="w@host",
    )

    found = open_store().fetch(["a"])["a"]

    told = read_meta(found.meta)
    assert (found.state, found.attempt) == ("SUCCESS", 0)
    assert (told["result"], told["args"], told["name"], told["worker"]) == ([1, 2], "(2, 3)", "shop.add", "w@host")
    assert datetime.fromisoformat(told["date_done"]).tzinfo == UTC
    assert not any(open_store().store([record(state="RETRY", attempt=3)]))


def test_pickles_are_read_where_they_are_accepted_and_refused_in_words_elsewhere(open_store, tasks):
    def text(value: object) -> str:
        return base64.b64encode(pickle.dumps(value)).decode()

    tasks.create(
        task_id="a",
        status="FAILURE",
        content_type="application/x-python-serialize",
        content_encoding="binary",
        result=text(ValueError("boom")),
        meta=text({"children": []}),
    )

    accepted = open_store(accept_content=["json", "pickle"]).fetch(["a"])["a"]
    refused = read_meta(open_store().fetch(["a"])["a"].meta)

    assert read_meta(accepted.meta)["result"]["exc_message"] == ["boom"]
    assert refused["result"]["exc_type"] == "ContentDisallowed"
    assert "'application/x-python-serialize' is refused" in refused["result"]["exc_message"][0]


def test_a_row_that_is_no_record_is_told_to_who_waits(open_store, tasks):
    tasks.create(
        task_id="a",
        status="SUCCESS",
        content_type="application/json",
        content_encoding="utf-8",
        result="{broken",
        meta=None,
    )

    (told,) = open_store().watch(["a"], DEADLINE_S)

    assert told.state == "FAILURE"
    assert read_meta(told.meta)["result"]["exc_type"] == "ContentError"


def test_records_in_pickle_are_written_as_the_package_writes_them(open_store, tasks):
    codec = ResultCodec(PICKLE)
    stored = TaskResult("a", "SUCCESS", 1, encode_meta("a", "SUCCESS", {1, 2}, now=0.0, codec=codec, attempt=1))
    store = open_store(result_serializer="pickle", accept_content=["pickle"])

    store.store([stored])

    row = tasks.get()
    assert (row.content_type, row.content_encoding) == ("application/x-python-serialize", "binary")
    assert pickle.loads(base64.b64decode(row.result)) == {1, 2}
    found = store.fetch(["a"])["a"]
    assert (found.attempt, read_meta(found.meta, PICKLE)["result"]) == (1, {1, 2})


def test_when_a_task_started_is_kept(open_store, tasks):
    store = open_store()
    store.store([record(state="STARTED")])
    started = tasks.get().date_started

    store.store([record(state="SUCCESS")])

    assert started is not None
    assert tasks.get().date_started == started


@pytest.mark.parametrize(
    "odd",
    [record("i" * 300), record(state="S" * 60), record("a\0b"), record("\ud800")],
    ids=["long id", "long state", "NUL", "half a character"],
)
def test_a_record_that_the_table_cannot_have_is_dropped_with_a_line(open_store, tasks, caplog, odd):
    store = open_store()
    with caplog.at_level(logging.ERROR):
        written = store.store([odd, record("b")])

    assert written == [False, True]
    assert [row.task_id for row in tasks.all()] == ["b"]
    assert "a record is dropped, its" in caplog.text
    assert store.fetch([odd.task_id, "b"]).keys() == {"b"}
    store.forget([odd.task_id])


def test_a_result_too_large_for_the_database_is_a_failure_that_says_so(open_store, tasks, alias):
    import sqlite3

    from django.db import connections

    connections[alias].ensure_connection()
    connections[alias].connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 50_000)
    store = open_store()

    written = store.store([record("a"), record("large", result="x" * 100_000, attempt=1), record("b")])

    assert written == [True, False, True]
    found = store.fetch(["a", "large", "b"])
    assert (found["large"].state, found["large"].attempt, found["b"].state) == ("FAILURE", 1, "SUCCESS")
    (said,) = read_meta(found["large"].meta)["result"]["exc_message"]
    assert "too big; it has 100" in said
    assert store.store([record("progress", "PROGRESS", "x" * 100_000)]) == [False]


def test_a_result_too_large_for_a_mysql_is_a_failure_that_says_so():
    from celery_rs.backends.django.database import DjangoDatabaseBackend

    set_up()
    with mariadb_database() as described, database(described) as alias:
        migrate(alias)
        store = DjangoDatabaseBackend(Opening("django-db", {}, {}, 86_400.0))
        many = [record(f"task {number}", result="x" * 1_000_000) for number in range(20)]

        assert store.store([record("a"), record("large", result="x" * 20_000_000), record("b")]) == [True, False, True]
        assert all(store.store(many)), "too much at once, but not one by one"

        found = store.fetch(["a", "large", "b"])
        assert [found[id].state for id in ("a", "large", "b")] == ["SUCCESS", "FAILURE", "SUCCESS"]


def test_a_traceback_may_have_anything_in_it(open_store, tasks):
    store = open_store()

    store.store([record(traceback="a\0b\ud800")])

    assert tasks.get().traceback == "a\\x00b\\ud800"
    assert store.fetch(["a"])["a"].state == "SUCCESS"


def test_who_listens_to_post_save_hears_of_each_record(open_store, tasks):
    from django.db.models.signals import post_save

    heard = []

    def hear(instance, created, **_):
        heard.append((instance.task_id, instance.status, created))

    post_save.connect(hear, sender=tasks.model)
    try:
        store = open_store()
        store.store([record("a", "STARTED"), record("b")])
        store.store([record("a")])
    finally:
        post_save.disconnect(hear, sender=tasks.model)

    assert heard == [("a", "STARTED", True), ("b", "SUCCESS", True), ("a", "SUCCESS", False)]


def test_what_a_caller_stores_in_a_transaction_goes_with_it(open_store, alias):
    from django.db import transaction

    store = open_store()
    store.store([record("before")])

    class Rolled(Exception):
        pass

    def in_a_transaction() -> None:
        with transaction.atomic(using=alias):
            store.store([record("inside")])
            assert set(store.fetch(["before", "inside"])) == {"before", "inside"}
            raise Rolled

    with pytest.raises(Rolled):
        in_a_transaction()

    assert set(store.fetch(["before", "inside"])) == {"before"}


def test_a_table_that_is_missing_or_of_another_shape_is_named(open_store, alias, tmp_path: Path):
    from django.db import connections

    with connections[alias].cursor() as cursor:
        cursor.execute("ALTER TABLE django_celery_results_taskresult DROP COLUMN date_started")
    with pytest.raises(BackendError, match=r"has no column 'date_started'; run `python manage.py migrate"):
        open_store().store([record()])

    with database(sqlite(tmp_path / "empty.sqlite3")) as empty:
        with pytest.raises(BackendError) as told:
            open_store().fetch(["a"])
        assert str(told.value) == (
            f"django-db://{empty}: there is no table 'django_celery_results_taskresult'; "
            "run `python manage.py migrate django_celery_results`"
        )


def test_an_app_that_is_not_installed_is_asked_for(monkeypatch):
    set_up()
    from celery_rs.backends.django import tables

    monkeypatch.setattr(tables, "LABEL", "nobody_has_it")

    with pytest.raises(ImproperlyConfigured, match=r"add 'celery_rs\.django\.results' and run"):
        tables.model("TaskResult")


def test_chords_that_are_over_go_and_those_of_celery_stay(open_store, alias, tasks):
    from django.apps import apps

    chords = apps.get_model("django_celery_results", "ChordCounter").objects.using(alias)
    chords.create(group_id="celery's", sub_tasks="[]", count=3)
    store = open_store()
    store.open_chord("ours", 2)
    chords.filter(group_id="ours").update(count=1_000_001)  # in 1971
    store.open_chord("new", 2)

    store.cleanup()

    assert {chord.group_id for chord in chords.all()} == {"celery's", "new"}


def test_groups_of_celerys_are_read(open_store, alias):
    from django.apps import apps

    groups = apps.get_model("django_celery_results", "GroupResult").objects.using(alias)
    members = '[["g", null], [[["a", null], null]]]'
    groups.create(group_id="g", content_type="application/json", content_encoding="utf-8", result=members)

    assert JSON.loads(open_store().fetch_group("g")) == {"result": JSON.loads(members.encode())}
