"""The handle of a result."""

import json
import threading
from typing import Any

import pytest

from celery_rs import AsyncResult, Celery, allow_join_result, errors
from tests.apps import call, drain, make_app


@pytest.fixture
def app() -> Celery:
    return make_app()


def store(app: Celery, outcome: Any) -> None:
    app.backend.store([outcome.record])


def test_an_unknown_id_is_pending(app: Celery) -> None:
    result = app.AsyncResult("nobody")

    assert (result.state, result.result, result.traceback, result.children) == ("PENDING", None, None, [])
    assert not result.ready()
    assert not result.exists()


def test_a_success_has_its_value(app: Celery) -> None:
    @app.task
    def add(x: int, y: int) -> int:
        return x + y

    result = add.delay(2, 3)
    drain(app)

    assert (result.get(timeout=5), result.state, result.info) == (5, "SUCCESS", 5)
    assert result.ready()
    assert result.successful()
    assert not result.failed()
    assert result.date_done is not None
    assert result.date_done.utcoffset() is not None


def test_a_failure_is_raised_or_returned(app: Celery) -> None:
    @app.task
    def fail() -> object:
        raise ValueError("boom")

    result = fail.delay()
    drain(app)

    with pytest.raises(ValueError, match="boom"):
        result.get(timeout=5)
    returned: object = result.get(timeout=5, propagate=False)
    assert isinstance(returned, ValueError)
    assert result.failed()
    assert "ValueError: boom" in (result.traceback or "")


def test_a_retry_shows_its_cause_and_is_not_ready(app: Celery) -> None:
    @app.task(bind=True)
    def flaky(self: Any) -> None:
        raise self.retry(exc=KeyError("k"))

    result = flaky.delay()
    drain(app)

    assert (result.state, result.ready()) == ("RETRY", False)
    assert isinstance(result.result, KeyError)


def test_waiting_ends_in_time(app: Celery) -> None:
    with pytest.raises(errors.TimeoutError, match=r"task nobody was not ready after 0\.01 s"):
        app.AsyncResult("nobody").get(timeout=0.01)


def test_waiting_ends_when_the_result_comes(app: Celery) -> None:
    @app.task
    def answer() -> int:
        return 42

    result = answer.delay()
    found: list[Any] = []
    waiter = threading.Thread(target=lambda: found.append(result.get(timeout=10)), name="waiter")
    waiter.start()
    drain(app)
    waiter.join(10)

    assert found == [42]


def test_a_callback_gets_the_id_and_the_value(app: Celery) -> None:
    @app.task
    def answer() -> int:
        return 42

    result, heard = answer.delay(), []
    drain(app)

    result.get(timeout=5, callback=lambda id, value: heard.append((id, value)))

    assert heard == [(result.id, 42)]


def test_an_ignored_result_is_none_at_once(app: Celery) -> None:
    @app.task(ignore_result=True)
    def silent() -> int:
        return 1

    assert silent.delay().get() is None


def test_a_task_may_not_wait_for_another_unless_allowed(app: Celery) -> None:
    @app.task
    def other() -> int:
        return 42

    result = other.delay()
    drain(app)

    @app.task
    def waits(how: str) -> int:
        fresh = app.AsyncResult(result.id)
        if how == "allowed":
            with allow_join_result():
                return int(fresh.get(timeout=5))
        return int(fresh.get(timeout=5, disable_sync_subtasks=how == "plain"))

    assert call(app, waits, ("plain",)).text.startswith("RuntimeError")
    assert call(app, waits, ("allowed",)).text == "42"
    assert call(app, waits, ("asked",)).text == "42"


def test_a_forgotten_result_is_pending_again(app: Celery) -> None:
    @app.task
    def answer() -> int:
        return 42

    result = answer.delay()
    drain(app)
    result.get(timeout=5)

    result.forget()

    assert result.state == "PENDING"


def test_children_are_handles(app: Celery) -> None:
    @app.task
    def child() -> None: ...

    @app.task
    def parent() -> str:
        return child.delay().id

    result = parent.delay()
    drain(app)

    assert [one.id for one in result.children] == [result.get(timeout=5)]


def test_handles_of_one_id_are_equal(app: Celery) -> None:
    assert app.AsyncResult("a") == app.AsyncResult("a") == "a"
    assert app.AsyncResult("a") != app.AsyncResult("b")
    assert len({app.AsyncResult("a"), app.AsyncResult("a")}) == 1
    assert (str(app.AsyncResult("a")), repr(app.AsyncResult("a"))) == ("a", "<AsyncResult: a>")
    with pytest.raises(ValueError, match="a result needs the id of a task, got None"):
        AsyncResult(None, app=app)  # type: ignore[arg-type]  # the mistake


@pytest.mark.parametrize("ask", [lambda r: r.state, lambda r: r.ready(), lambda r: r.get(timeout=1)])
def test_results_that_are_not_kept_say_what_to_set(ask: Any) -> None:
    app = make_app(result_backend=None)

    with pytest.raises(errors.NotSupported, match="set result_backend, for example"):
        ask(app.AsyncResult("a"))


def test_a_record_of_any_shape_of_children_is_read(app: Celery) -> None:
    from celery_rs.wire import TaskResult

    meta = {
        "status": "SUCCESS",
        "result": 1,
        "children": [[["a", None], None], [["group", None], [[["b", None], None]]], 3],
    }
    app.backend.store([TaskResult("id", "SUCCESS", 0, json.dumps(meta).encode())])

    assert [child.id for child in app.AsyncResult("id").children] == ["a", "b"]
