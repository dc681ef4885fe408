"""Stores of a user's own: how they are named, what Celery's shapes mean, and what is said of those that are none."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from celery_rs import Celery
from celery_rs.backends.own.adapter import TRIES, OwnBackend
from celery_rs.errors import BackendError, ImproperlyConfigured, NotSupported
from celery_rs.errors import TimeoutError as OurTimeoutError
from celery_rs.wire import ChordPart, TaskResult, decode_failure, encode_failure, encode_meta, read_meta
from tests.apps import make_app
from tests.backends import own_stores

HERE = own_stores.__name__


@pytest.fixture(autouse=True)
def empty() -> Iterator[None]:
    own_stores.values.clear()
    yield
    own_stores.values.clear()


def app_of(store: str, **settings: Any) -> Celery:
    return make_app(result_backend=f"{HERE}:{store}+own://host/", **settings)


def record(task_id: str, state: str = "SUCCESS", result: object = None, **more: Any) -> TaskResult:
    return TaskResult(task_id, state, 0, encode_meta(task_id, state, result, now=0.0, **more))


@pytest.mark.parametrize(
    ("url", "told", "shown"),
    [
        (f"{HERE}:Dict+own://u:secret@host/x", "own://u:secret@host/x", f"{HERE}:Dict+own://u:********@host/x"),
        (f"{HERE}.Dict+own://host", "own://host", f"{HERE}.Dict+own://host"),
        (f"{HERE}:Dict", None, f"{HERE}:Dict://"),
        (f"{HERE}.Dict", None, f"{HERE}.Dict://"),
    ],
)
def test_a_class_path_names_a_store_and_what_it_is_told(url: str, told: str | None, shown: str) -> None:
    with closing(make_app(result_backend=url)) as app:
        assert isinstance(app.backend, OwnBackend)
        assert app.backend.own.url == told
        assert app.backend.own.app is app
        assert app.backend.describe() == shown


def test_an_entry_point_names_a_store(monkeypatch: pytest.MonkeyPatch) -> None:
    def entry_points(group: str, name: str) -> list[EntryPoint]:
        return [EntryPoint(name, f"{HERE}:Dict", group)] if (group, name) == ("celery.result_backends", "mine") else []

    monkeypatch.setattr("importlib.metadata.entry_points", entry_points)

    for url, told in (("mine", None), ("mine://host", "mine://host"), ("mine+own://host", "own://host")):
        with closing(make_app(result_backend=url)) as app:
            assert isinstance(app.backend, OwnBackend)
            assert app.backend.own.url == told


def test_override_backends_names_a_store_of_celerys_shape() -> None:
    with closing(make_app(result_backend="mine://host", override_backends={"mine": own_stores.Dict})) as app:
        assert isinstance(app.backend, OwnBackend)
        assert app.backend.own.url == "mine://host"


def test_a_class_with_open_store_is_told_everything() -> None:
    with closing(make_app(result_backend=f"{HERE}:OfOurs")) as app:
        assert "of-ours" in app.backend.describe()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("missing.module:Store", "result_backend 'missing.module:Store' cannot be loaded: No module named 'missing'"),
        (f"{HERE}:Missing", "has no attribute 'Missing'"),
        (f"{HERE}:NoStore", "result_backend: expected a result store with a class method `open(url"),
        (f"{HERE}:Half", "result_backend: expected Half to have get() and set(), which KeyValueStoreBackend leaves to"),
        ("nothing", "expected a result store's URL such as 'sqlite:///results.sqlite3', got 'nothing'"),
    ],
)
def test_what_is_no_store_is_said_in_one_line(url: str, said: str) -> None:
    with closing(make_app(result_backend=url)) as app, pytest.raises(ImproperlyConfigured) as caught:
        _ = app.backend

    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_class_that_cannot_be_made_is_one_line() -> None:
    with closing(app_of("NotMade")) as app, pytest.raises(BackendError) as caught:
        app.backend.fetch(["a"])

    assert str(caught.value) == f"{HERE}:NotMade+own://host/: NotMade.__init__() failed with RuntimeError: no licence"


def test_what_the_users_code_raises_is_an_error_of_the_store() -> None:
    with closing(app_of("Broken")) as app, pytest.raises(BackendError) as caught:
        app.AsyncResult("a").get(timeout=1)

    assert str(caught.value).endswith("Broken.get_task_meta() failed with KeyError: 'no disk'")


def test_a_record_that_is_refused_again_and_again_becomes_a_failure_and_holds_up_nobody() -> None:
    batch = [record("a"), record("b", result="poison"), record("c", "PROGRESS", "poison"), record("d")]
    with closing(app_of("Picky")) as app:
        for _ in range(2 * (TRIES - 1)):
            with pytest.raises(BackendError, match="ValueError: never that"):
                app.backend.store(batch)

        app.backend.store(batch)

        assert app.backend.fetch("acd") == {"a": record("a"), "d": record("d")}
        with pytest.raises(BackendError, match=r"Picky.store_result\(\) failed with ValueError: never that$"):
            app.AsyncResult("b").get(timeout=1)


@pytest.mark.parametrize("task_id", ["a" * 200, "a/b"])
def test_a_task_whose_id_the_store_cannot_take_holds_up_nobody(task_id: str, caplog: pytest.LogCaptureFixture) -> None:
    with closing(app_of("ShortIds")) as app:
        for _ in range(TRIES - 1):
            with pytest.raises(BackendError, match="name"):
                app.backend.store([record(task_id), record("z")])

        assert list(app.backend.store([record(task_id), record("z")])) == [False, True]

        assert app.backend.fetch(["z"]) == {"z": record("z")}
        assert len(own_stores.values) == 1, "nothing else is left there"
    assert f"the record SUCCESS of task {task_id!r} is dropped, others are taken" in caplog.text


def test_a_store_that_refuses_everything_makes_no_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_stores.Picky, "down", True)
    with closing(app_of("Picky")) as app:
        for _ in range(2 * TRIES):
            with pytest.raises(BackendError, match="disk is away"):
                app.backend.store([record("a")])
        monkeypatch.setattr(own_stores.Picky, "down", False)

        assert app.backend.store([record("a")]) == [True]

        assert app.backend.fetch(["a"]) == {"a": record("a")}


@pytest.mark.parametrize("store", ["Dict", "TextKeys"])
def test_a_value_is_celerys_record_under_celerys_key(store: str) -> None:
    with closing(app_of(store, result_backend_transport_options={"global_keyprefix": "mine"})) as app:
        app.backend.store([record("a", result=1)])

    ((key, value),) = own_stores.values.items()
    assert key == ("mine_celery-task-meta-a" if store == "TextKeys" else b"mine_celery-task-meta-a")
    assert value == record("a", result=1).meta.decode()


@pytest.mark.parametrize("way", [list, dict, iter])
def test_many_are_read_however_mget_answers(way: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_stores.Answers, "way", way)
    with closing(app_of("Answers")) as app:
        app.backend.store([record("a"), record("b")])

        assert app.backend.fetch(["a", "b", "c"]) == {"a": record("a"), "b": record("b")}


def test_a_record_that_cannot_be_read_is_a_failure_that_says_so() -> None:
    own_stores.values[b"celery-task-meta-a"] = "no record"
    with closing(app_of("Answers")) as app:
        app.backend.store([record("b")])

        found = app.backend.fetch(["a", "b"])

        with pytest.raises(BackendError, match="the record of task a cannot be read: expected JSON"):
            app.AsyncResult("a").get(timeout=1)
    assert found["a"].state == "FAILURE"
    assert found["b"] == record("b")


def test_an_override_of_store_result_is_told_of_exceptions_as_in_celery() -> None:
    failure = encode_failure(ValueError("boom", 1))
    unknown = {"exc_type": "Odd", "exc_message": ["a", 1], "exc_module": "gone"}
    with closing(app_of("Loud")) as app:
        records = [record("a", "FAILURE", failure), record("b", "FAILURE", unknown), record("c")]
        app.backend.store(records)

        assert app.backend.fetch(["a", "b", "c"]) == {one.task_id: one for one in records}
    assert own_stores.values["told"] == [
        ("a", "ValueError", "FAILURE"),
        ("b", "RemoteError", "FAILURE"),
        ("c", "NoneType", "SUCCESS"),
    ]


def test_a_store_of_rows_is_told_of_the_call() -> None:
    with closing(app_of("Rows", result_extended=True)) as app:
        extended = {"name": "t", "args": [1, 2], "kwargs": {}, "worker": "w", "retries": 0, "queue": "q"}
        app.backend.store([record("a", result=3, extended=extended)])

        assert own_stores.values["a"]["args"] == [1, 2]
        assert app.AsyncResult("a").get(timeout=1) == 3
        assert app.AsyncResult("a").args == [1, 2]


def test_a_store_may_give_objects_where_others_give_text() -> None:
    with closing(app_of("Objects")) as app:
        app.backend.store([record("a", result=3)])
        result = app.AsyncResult("a")

        assert result.get(timeout=1) == 3
        assert result.date_done == datetime(2030, 1, 1, tzinfo=UTC)
        assert [child.id for child in result.children] == ["child"]


def test_what_a_program_asks_app_backend_is_answered() -> None:
    with closing(app_of("Loud")) as app:
        backend: Any = app.backend
        backend.store_result("a", {"done": 1}, "PROGRESS")
        assert (backend.get_state("a"), backend.get_result("a")) == ("PROGRESS", {"done": 1})
        backend.mark_as_done("a", 42)
        backend.mark_as_failure("b", ValueError("boom"), traceback="Traceback")

        assert backend.wait_for("a", timeout=1)["result"] == 42
        assert isinstance(backend.get_task_meta("b")["result"], ValueError)
        assert backend.get_traceback("b") == "Traceback"
        assert app.AsyncResult("a").get(timeout=1) == 42
        assert dict(backend.get_many(["a", "b"], timeout=1)).keys() == {"a", "b"}
        assert backend.get_state("unknown") == "PENDING"
        with pytest.raises(OurTimeoutError):
            backend.wait_for("unknown", timeout=0.01, interval=0.005)
        backend.forget("a")
        assert backend.get_state("a") == "PENDING"
        assert backend.shout() == "own://host/!"
        assert backend.as_uri() == "own://host/"


def test_a_success_stays_also_for_who_writes_past_the_worker() -> None:
    with closing(app_of("Dict")) as app:
        backend: Any = app.backend
        backend.store_result("a", 1, "SUCCESS")
        backend.store_result("a", None, "STARTED")

        assert backend.get_state("a") == "SUCCESS"


def test_each_serializer_reads_what_it_wrote() -> None:
    for name in ("json", "yaml", "msgpack", "pickle"):
        own_stores.values.clear()
        with closing(app_of("Dict", result_serializer=name, result_accept_content=[name])) as app:
            backend: Any = app.backend
            backend.store_result("a", {"x": [1]}, "SUCCESS")

            assert app.AsyncResult("a").get(timeout=1) == {"x": [1]}
            (value,) = own_stores.values.values()
            assert isinstance(value, str) == (name in ("json", "yaml"))


def test_a_group_is_saved_and_found() -> None:
    with closing(app_of("Dict")) as app:
        group = app.GroupResult("group", [app.AsyncResult("a"), app.AsyncResult("b")])
        group.save()

        assert app.GroupResult.restore("group") == group
        group.delete()
        assert app.GroupResult.restore("group") is None


def test_what_a_class_lacks_is_said_when_it_is_needed() -> None:
    with closing(app_of("Rows")) as app:
        with pytest.raises(NotSupported, match=r"^Rows without _forget\(\) is not supported here; write that method$"):
            app.AsyncResult("a").forget()
        with pytest.raises(NotSupported, match="a chord with the results in Rows is not supported here"):
            app.backend.claim_chords([ChordPart("g", "a", 0, "SUCCESS", b"1")], 10.0)


def test_each_thread_has_an_object_of_its_own_unless_told_otherwise(tmp_path: Path) -> None:
    import threading

    for shared in (False, True):
        with closing(app_of("Dict", result_backend_thread_safe=shared)) as app:
            backend: Any = app.backend
            found = [backend.own]
            thread = threading.Thread(target=lambda found=found, backend=backend: found.append(backend.own))
            thread.start()
            thread.join()

            assert (found[0] is found[1]) == shared
            assert backend.own is found[0]


def test_an_exception_of_a_record_that_names_no_exception_is_shown_not_made() -> None:
    evil = {"exc_type": "system", "exc_message": ["touch /tmp/x"], "exc_module": "os"}
    with closing(app_of("Dict")) as app:
        app.backend.store([record("a", "FAILURE", evil)])

        assert read_meta(app.backend.fetch(["a"])["a"].meta)["result"] == evil
        assert "os.system" in str(decode_failure(evil))
        assert type(app.AsyncResult("a").result).__name__ == "RemoteError"


def test_a_class_may_be_named_by_itself() -> None:
    with closing(Celery("proj", broker="memory://own-stores", backend=own_stores.Dict, set_as_current=False)) as app:
        assert app.conf.result_backend == f"{HERE}:Dict"
        assert app.backend.describe() == f"{HERE}:Dict://"
        app.conf.result_backend = own_stores.Rows
        assert app.conf.result_backend == f"{HERE}:Rows"
