"""Tasks that run where they are called: `apply`, and `task_always_eager`."""

import logging
from typing import Any

import pytest

from celery_rs import Celery, Task, errors, signals
from celery_rs.results import AsyncResult, EagerResult, allow_join_result
from tests.apps import drain, make_app
from tests.deadlines import DEADLINE_S


@pytest.fixture
def app() -> Celery:
    return make_app()


def test_apply_runs_the_task_and_has_its_result(app: Celery) -> None:
    @app.task(name="proj.add")
    def add(x: int, y: int) -> int:
        return x + y

    result = add.apply((2,), {"y": 3}, task_id="id")

    assert isinstance(result, EagerResult)
    assert (result.get(), result.state, result.id, result.name) == (5, "SUCCESS", "id", "proj.add")
    assert result.ready()
    assert result.successful()
    assert (result.traceback, result.children, result.date_done) == (None, [], None)
    assert repr(result) == "<EagerResult: id>"
    assert app.AsyncResult("id").state == "PENDING"


def test_a_failure_is_in_the_result_and_get_raises_it(app: Celery) -> None:
    @app.task
    def fail() -> None:
        raise ValueError("boom")

    result = fail.apply()

    assert (result.state, result.failed()) == ("FAILURE", True)
    assert "ValueError: boom" in (result.traceback or "")
    with pytest.raises(ValueError, match="boom"):
        result.get()
    returned: object = result.get(propagate=False)
    assert isinstance(returned, ValueError)


def test_throw_raises_what_the_task_raised(app: Celery) -> None:
    @app.task
    def fail() -> None:
        raise ValueError("boom")

    with pytest.raises(ValueError, match="boom"):
        fail.apply(throw=True)


def test_the_setting_makes_an_eager_run_raise() -> None:
    app = make_app(task_eager_propagates=True)

    @app.task
    def fail() -> None:
        raise ValueError("boom")

    with pytest.raises(ValueError, match="boom"):
        fail.apply()
    assert fail.apply(throw=False).state == "FAILURE"


def test_an_eager_request_says_so(app: Celery) -> None:
    seen: dict[str, Any] = {}

    @app.task(bind=True, time_limit=9)
    def look(self: Task[..., Any]) -> None:
        request = self.request
        seen.update(eager=request.is_eager, direct=request.called_directly, retries=request.retries)
        seen.update(headers=request.headers, log=(request.logfile, request.loglevel), root=request.root_id)
        seen.update(where=request.delivery_info, args=request.args, limit=request.time_limit)

    look.apply(task_id="id", headers={"a": 1}, logfile="f", loglevel=20, priority=3)

    assert seen == {
        "eager": True,
        "direct": False,
        "retries": 0,
        "headers": {"a": 1},
        "log": ("f", 20),
        "root": "id",
        "where": {"is_eager": True, "exchange": None, "routing_key": None, "priority": 3},
        "args": (),
        "limit": 9,
    }


def test_retries_run_at_once_until_they_are_spent(app: Celery) -> None:
    runs = []

    @app.task(bind=True, max_retries=2)
    def flaky(self: Task[..., Any], x: int) -> None:
        runs.append((self.request.retries, x))
        raise self.retry(exc=KeyError("k"), countdown=60)

    result = flaky.apply((7,))

    assert runs == [(0, 7), (1, 7), (2, 7)]
    assert result.state == "FAILURE"
    assert isinstance(result.result, KeyError)


def test_a_retry_that_succeeds_is_a_success(app: Celery) -> None:
    @app.task(bind=True, autoretry_for=(KeyError,), retry_backoff=True)
    def flaky(self: Task[..., Any]) -> str:
        if self.request.retries < 2:
            raise KeyError("k")
        return "at last"

    assert flaky.apply().get() == "at last"


def test_throw_raises_the_first_retry_as_celery_does(app: Celery) -> None:
    @app.task(bind=True)
    def flaky(self: Task[..., Any]) -> None:
        raise self.retry(exc=KeyError("k"), countdown=0)

    with pytest.raises(errors.Retry) as caught:
        flaky.apply(throw=True)

    assert caught.value.is_eager


def test_hooks_and_signals_are_those_of_a_worker(app: Celery) -> None:
    told: list[str] = []

    class Hooked(Task[..., Any]):
        def before_start(self, *_: Any) -> None:
            told.append("before_start")

        def on_success(self, *_: Any) -> None:
            told.append("on_success")

        def after_return(self, *_: Any) -> None:
            told.append("after_return")

    def prerun(**_: Any) -> None:
        told.append("task_prerun")

    def postrun(state: str, **_: Any) -> None:
        told.append(f"task_postrun {state}")

    @app.task(base=Hooked)
    def add(x: int, y: int) -> int:
        return x + y

    signals.task_prerun.connect(prerun)
    signals.task_postrun.connect(postrun)
    add.apply((1, 2))
    signals.task_prerun.disconnect(prerun)
    signals.task_postrun.disconnect(postrun)

    assert told == ["task_prerun", "before_start", "on_success", "after_return", "task_postrun SUCCESS"]


def test_an_error_in_a_hook_is_the_callers(app: Celery) -> None:
    class Hooked(Task[..., Any]):
        def on_success(self, *_: Any) -> None:
            raise RuntimeError("hook")

    @app.task(base=Hooked)
    def fine() -> None: ...

    with pytest.raises(RuntimeError, match="hook"):
        fine.apply()


def test_an_eager_task_may_wait_for_another(app: Celery) -> None:
    @app.task
    def inner() -> int:
        return 3

    @app.task
    def outer() -> int:
        return inner.apply().get() + 1

    assert outer.apply().get() == 4


@pytest.mark.parametrize(("error", "state"), [(errors.Ignore(), "IGNORED"), (errors.Reject("no"), "REJECTED")])
def test_ignore_and_reject_are_states(app: Celery, error: Exception, state: str) -> None:
    @app.task
    def end() -> None:
        raise error

    assert end.apply().state == state


def test_a_link_is_called_with_the_value(app: Celery) -> None:
    @app.task(name="proj.add")
    def add(x: int, y: int) -> int:
        return x + y

    add.apply((1, 2), link=add.s(10))

    (outcome,) = drain(app)
    assert outcome.text == "13"


def test_always_eager_runs_a_call_where_it_is_made() -> None:
    app = make_app(task_always_eager=True)

    @app.task
    def add(x: int, y: int) -> int:
        return x + y

    result = add.delay(2, 3)

    assert isinstance(result, EagerResult)
    assert result.get() == 5
    assert drain(app) == []


def test_always_eager_obeys_the_call() -> None:
    app = make_app(task_always_eager=True)
    got: list[int] = []

    @app.task
    def add(x: int, y: int) -> int:
        return x + y

    @app.task
    def keep(x: int) -> None:
        got.append(x)

    result = add.apply_async((2, 3), countdown=60, queue="low", task_id="mine", link=keep.s())

    assert (result.id, got) == ("mine", [5])


def test_always_eager_calls_errbacks_inline() -> None:
    app = make_app(task_always_eager=True)
    got: list[str] = []

    @app.task
    def fail() -> None:
        raise KeyError("k")

    @app.task
    def old_style(task_id: str) -> None:
        got.append(task_id)

    fail.apply_async(task_id="mine", link_error=old_style.s())

    assert got == ["mine"]


def test_always_eager_writes_and_reads_the_arguments() -> None:
    app = make_app(task_always_eager=True)

    @app.task
    def echo(value: Any) -> Any:
        return value

    assert echo.delay((1, 2)).get() == [1, 2]
    with pytest.raises(errors.EncodeError, match=r"^args\[0\]: complex is not JSON$"):
        echo.delay(1j)


def test_always_eager_refuses_what_a_call_would() -> None:
    app = make_app(task_always_eager=True)

    @app.task
    def echo(value: Any) -> Any:
        return value

    with pytest.raises(TypeError, match="unknown option 'countdwn'"):
        echo.apply_async((1,), countdwn=3)
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        echo.delay()  # type: ignore[call-arg]  # the point


def test_under_always_eager_a_task_may_not_wait_for_another() -> None:
    app = make_app(task_always_eager=True, task_eager_propagates=True)

    @app.task
    def inner() -> int:
        return 3

    @app.task
    def outer() -> int:
        return inner.delay().get()

    @app.task
    def allowed() -> int:
        with allow_join_result():
            return inner.delay().get()

    with pytest.raises(RuntimeError, match="waits for another task"):
        outer.delay()
    assert allowed.delay().get() == 3


def test_send_task_sends_all_the_same_and_warns() -> None:
    app = make_app(task_always_eager=True)

    with pytest.warns(errors.AlwaysEagerIgnored, match="send_task sends 'proj.add' to a worker all the same"):
        result = app.send_task("proj.add", (1, 2))

    assert type(result) is AsyncResult
    assert len(drain(app)) == 1


def test_the_setting_stores_the_result_of_an_eager_run() -> None:
    app = make_app(task_store_eager_result=True)

    @app.task
    def add(x: int, y: int) -> int:
        return x + y

    @app.task(store_eager_result=False)
    def not_me() -> None: ...

    add.apply((2, 3), task_id="kept")
    not_me.apply(task_id="dropped")
    add.apply((2, 3), task_id="ignored", ignore_result=True)

    assert app.AsyncResult("kept").get(timeout=DEADLINE_S) == 5
    assert app.AsyncResult("dropped").state == "PENDING"
    assert app.AsyncResult("ignored").state == "PENDING"


def test_a_revoked_eager_result_raises(app: Celery) -> None:
    @app.task
    def add() -> int:
        return 1

    result = add.apply()
    result.revoke()

    assert result.state == "REVOKED"
    with pytest.raises(errors.TaskRevokedError):
        result.get()


def test_forgetting_an_eager_result_changes_nothing(app: Celery) -> None:
    @app.task
    def add() -> int:
        return 1

    result = add.apply()
    result.forget()

    assert result.get() == 1


def test_an_eager_result_calls_back_at_once(app: Celery) -> None:
    @app.task
    def add() -> int:
        return 1

    got: list[Any] = []
    add.apply().then(got.append)
    add.apply(task_id="id").get(callback=lambda id, value: got.append((id, value)))

    assert got[0].get() == 1
    assert got[1] == ("id", 1)


def test_update_state_in_an_eager_run_writes_to_the_store(app: Celery) -> None:
    @app.task(bind=True)
    def progress(self: Task[..., Any]) -> None:
        self.update_state(state="PROGRESS", meta={"done": 1})

    progress.apply(task_id="id")

    assert app.AsyncResult("id").info == {"done": 1}


def test_nothing_is_logged_of_an_eager_run(app: Celery, caplog: pytest.LogCaptureFixture) -> None:
    @app.task
    def add() -> int:
        return 1

    with caplog.at_level(logging.DEBUG):
        add.apply()

    assert caplog.records == []
