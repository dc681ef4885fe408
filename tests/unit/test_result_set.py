"""Several results, waited for together."""

from types import SimpleNamespace
from typing import Any

import pytest

from celery_rs import Celery, errors
from celery_rs.results import AsyncResult, ResultSet, result_set
from celery_rs.wire import TaskResult, encode_failure, encode_meta
from tests.apps import call, make_app
from tests.deadlines import DEADLINE_S


@pytest.fixture
def app() -> Celery:
    return make_app()


def store(app: Celery, task_id: str, state: str, value: object) -> AsyncResult[Any]:
    app.backend.store([TaskResult(task_id, state, 0, encode_meta(task_id, state, value, now=0.0))])
    return app.AsyncResult(task_id)


def failed(app: Celery, task_id: str, error: Exception) -> AsyncResult[Any]:
    return store(app, task_id, "FAILURE", encode_failure(error))


def test_a_set_holds_each_result_once_in_order(app: Celery) -> None:
    a, b, c = (app.AsyncResult(id) for id in "abc")
    results = ResultSet([a, b, a])

    results.add(c)
    results.add(b)
    results.discard("nobody")
    results.remove(a)

    assert (list(results), len(results), results[0], c in results) == ([b, c], 2, b, True)
    assert results == ResultSet([b, c])
    assert repr(results) == "<ResultSet: [b, c]>"
    with pytest.raises(KeyError):
        results.remove(a)
    results.clear()
    assert len(results) == 0


def test_a_set_knows_what_became_of_its_results(app: Celery) -> None:
    good, bad, open_ = store(app, "a", "SUCCESS", 1), failed(app, "b", KeyError("k")), app.AsyncResult("c")

    assert ResultSet([good]).successful()
    assert not ResultSet([good, bad]).successful()
    assert ResultSet([good, bad]).failed()
    assert ResultSet([good, bad]).ready()
    assert ResultSet([good, open_]).waiting()
    assert ResultSet([good, bad, open_]).completed_count() == 1
    assert ResultSet([good]).supports_native_join


@pytest.mark.parametrize("join", ["get", "join", "join_native"])
def test_joining_returns_the_values_in_order(app: Celery, join: str) -> None:
    results = ResultSet([store(app, "b", "SUCCESS", 2), store(app, "a", "SUCCESS", 1)])

    assert getattr(results, join)(timeout=5) == [2, 1]


def test_a_callback_takes_the_values(app: Celery) -> None:
    results = ResultSet([store(app, "a", "SUCCESS", 1)])
    got: list[Any] = []

    assert results.join(timeout=DEADLINE_S, callback=lambda id, value: got.append((id, value))) == []
    assert got == [("a", 1)]


def test_joining_raises_the_first_error_unless_told_not_to(app: Celery) -> None:
    results = ResultSet([store(app, "a", "SUCCESS", 1), failed(app, "b", KeyError("k"))])

    with pytest.raises(KeyError):
        results.get(timeout=DEADLINE_S)
    with pytest.raises(KeyError):
        results.maybe_throw()
    assert isinstance(results.get(timeout=DEADLINE_S, propagate=False)[1], KeyError)


def test_the_timeout_is_for_all_together(app: Celery) -> None:
    with pytest.raises(errors.TimeoutError, match="task a was not ready after"):
        ResultSet([app.AsyncResult("a"), app.AsyncResult("b")]).get(timeout=0.01)


def test_what_one_result_took_is_not_there_for_the_next(app: Celery, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float] = []

    def slow(self: Any, timeout: float, *args: Any, **options: Any) -> None:
        given.append(timeout)
        clock[0] += 2.0

    clock = [100.0]
    monkeypatch.setattr(result_set, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr(AsyncResult, "get", slow)

    ResultSet([app.AsyncResult(id) for id in "abc"]).join(timeout=3)

    assert given == [3.0, 1.0, 0.0]


def test_results_are_iterated_as_they_come(app: Celery) -> None:
    results = ResultSet([app.AsyncResult("a"), store(app, "b", "SUCCESS", 2)])
    coming = results.iter_native(timeout=0.01)

    assert next(coming) == ("b", {"status": "SUCCESS", "result": 2, "traceback": None})
    with pytest.raises(errors.TimeoutError, match=r"^1 tasks were not ready after 0.01 s, a first$"):
        next(coming)


def test_a_task_may_not_join(app: Celery) -> None:
    @app.task
    def waits() -> None:
        ResultSet([app.AsyncResult("a")]).get()

    assert "waits for another task" in call(app, waits).text


def test_forgetting_a_set_forgets_its_results(app: Celery) -> None:
    result = store(app, "a", "SUCCESS", 1)

    ResultSet([result]).forget()

    assert not result.exists()


def test_a_set_is_revoked_in_one_request(app: Celery, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(app.control, "revoke", lambda ids, **options: asked.append((ids, options)), raising=False)

    ResultSet([app.AsyncResult("a"), app.AsyncResult("b")]).revoke(terminate=True)

    ((ids, options),) = asked
    assert (ids, options["terminate"], options["reply"]) == (["a", "b"], True, False)
