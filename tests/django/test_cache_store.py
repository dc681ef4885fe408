"""The store `django-cache`: objects under Celery's keys, in a cache of the project's."""

from collections.abc import Iterator
from typing import Any

import pytest

from celery_rs.backends.opening import Opening
from celery_rs.errors import BackendError, ImproperlyConfigured
from celery_rs.wire import TaskResult, encode_meta, read_meta
from tests.deadlines import DEADLINE_S
from tests.django.configured import database, set_up, sqlite


@pytest.fixture
def cache() -> Iterator[Any]:
    set_up()
    from django.core.cache import cache

    cache.clear()
    yield cache
    cache.clear()


def open_store(**settings: Any) -> Any:
    from celery_rs.backends.django.cache import DjangoCacheBackend

    return DjangoCacheBackend(Opening("django-cache", {}, settings, 86_400.0))


def record(state: str = "SUCCESS", result: Any = None, attempt: int = 0) -> TaskResult:
    return TaskResult("a", state, attempt, encode_meta("a", state, result, now=0.0))


def test_a_record_lies_there_as_celery_puts_it(cache):
    open_store().store([record(result={"x": 1}, attempt=2)])

    kept = cache.get("celery-task-meta-a")

    assert (kept["status"], kept["result"], kept["children"], kept["task_id"]) == ("SUCCESS", {"x": 1}, [], "a")
    assert kept["attempt"] == 2


def test_an_exception_that_celery_put_there_is_read(cache):
    cache.set("celery-task-meta-a", {"status": "FAILURE", "result": ValueError("boom"), "task_id": "a"})

    found = open_store().fetch(["a"])["a"]

    assert found.state == "FAILURE"
    assert read_meta(found.meta)["result"] == {
        "exc_type": "ValueError",
        "exc_message": ["boom"],
        "exc_module": "builtins",
    }


@pytest.mark.parametrize("kept", ["text", {"no": "status"}], ids=["text", "no status"])
def test_what_is_no_record_is_told_to_who_waits(cache, kept):
    cache.set("celery-task-meta-a", kept)

    (told,) = open_store().watch(["a"], DEADLINE_S)

    assert told.state == "FAILURE"
    assert read_meta(told.meta)["result"]["exc_type"] == "ContentError"


def test_a_cache_that_is_not_there_is_named(cache):
    with pytest.raises(ImproperlyConfigured, match=r"one of .* in Django's CACHES \('default'\), got 'nothing'"):
        open_store(cache_backend="nothing").fetch(["a"])


def test_what_the_cache_raises_is_a_line(cache, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise OSError("no space left\non the device")

    store = open_store()
    monkeypatch.setattr("django.core.cache.backends.locmem.LocMemCache.set_many", fail, raising=False)

    with pytest.raises(BackendError) as told:
        store.store([record()])

    assert str(told.value) == "django-cache://default: no space left"


def test_a_cache_that_refuses_a_record_is_an_error(cache, monkeypatch):
    monkeypatch.setattr(
        "django.core.cache.backends.locmem.LocMemCache.set_many", lambda *_, **__: ["key"], raising=False
    )

    with pytest.raises(BackendError, match=r"refused 1 record\(s\)"):
        open_store().store([record()])


def test_a_result_too_large_for_the_cache_is_a_failure_that_says_so(cache, monkeypatch):
    from django.core.cache.backends.locmem import LocMemCache

    def set_many(self, data, timeout=None, version=None):
        for key, value in data.items():
            if len(str(value)) > 1_000_000:
                raise OSError("object too large for cache")
            self.set(key, value, timeout)
        return []

    monkeypatch.setattr(LocMemCache, "set_many", set_many, raising=False)
    store = open_store()
    large = TaskResult("large", "SUCCESS", 1, encode_meta("large", "SUCCESS", "x" * 2_000_000, now=0.0))

    assert store.store([large, record()]) == [False, True]

    found = store.fetch(["large", "a"])
    assert (found["large"].state, found["large"].attempt, found["a"].state) == ("FAILURE", 1, "SUCCESS")
    assert "too large" in read_meta(found["large"].meta)["result"]["exc_message"][0]


def test_a_cache_whose_table_is_missing_says_what_makes_it(tmp_path):
    set_up()
    from django.core.cache import caches

    caches.settings["table"] = {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "nowhere"}
    try:
        with database(sqlite(tmp_path / "empty.sqlite3")), pytest.raises(BackendError) as told:
            open_store(cache_backend="table").fetch(["a"])
    finally:
        del caches["table"], caches.settings["table"]

    assert str(told.value) == (
        "django-cache://table: no such table: nowhere; run `python manage.py createcachetable nowhere`"
    )
