"""The handle of a result."""

import io
import json
import threading
from typing import Any

import pytest

from celery_rs import AsyncResult, Celery, allow_join_result, errors
from celery_rs.results import assert_will_not_block, denied_join_result, result_from_tuple
from celery_rs.wire import TaskResult, encode_failure, encode_meta
from tests.apps import call, drain, make_app
from tests.deadlines import DEADLINE_S


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

    assert (result.get(timeout=DEADLINE_S), result.state, result.info) == (5, "SUCCESS", 5)
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
        result.get(timeout=DEADLINE_S)
    returned: object = result.get(timeout=DEADLINE_S, propagate=False)
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
    waiter = threading.Thread(target=lambda: found.append(result.get(timeout=DEADLINE_S)), name="waiter")
    waiter.start()
    drain(app)
    waiter.join(DEADLINE_S)

    assert found == [42]


def test_a_callback_gets_the_id_and_the_value(app: Celery) -> None:
    @app.task
    def answer() -> int:
        return 42

    result, heard = answer.delay(), []
    drain(app)

    result.get(timeout=DEADLINE_S, callback=lambda id, value: heard.append((id, value)))

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
                return int(fresh.get(timeout=DEADLINE_S))
        return int(fresh.get(timeout=DEADLINE_S, disable_sync_subtasks=how == "plain"))

    assert call(app, waits, ("plain",)).text.startswith("RuntimeError")
    assert call(app, waits, ("allowed",)).text == "42"
    assert call(app, waits, ("asked",)).text == "42"


def test_a_forgotten_result_is_pending_again(app: Celery) -> None:
    @app.task
    def answer() -> int:
        return 42

    result = answer.delay()
    drain(app)
    result.get(timeout=DEADLINE_S)

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

    assert [str(one) for one in result.children] == [result.get(timeout=DEADLINE_S)]


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
    meta = {
        "status": "SUCCESS",
        "result": 1,
        "children": [[["a", None], None], [["group", None], [[["b", None], None]]], 3],
    }
    app.backend.store([TaskResult("id", "SUCCESS", 0, json.dumps(meta).encode())])

    assert [str(child) for child in app.AsyncResult("id").children] == ["a", "group"]


def put(app: Celery, task_id: str, state: str, value: object, **more: Any) -> Any:
    """Store a record; the handle of it."""
    app.backend.store([TaskResult(task_id, state, 0, encode_meta(task_id, state, value, now=0.0, **more))])
    return app.AsyncResult(task_id)


def test_the_constructor_is_celerys(app: Celery) -> None:
    parent = app.AsyncResult("up")
    other = make_app().backend

    result: AsyncResult[Any] = AsyncResult("id", other, "proj.add", app, parent)

    assert (result.backend, result.name, result.app, result.parent) == (other, "proj.add", app, parent)
    assert app.AsyncResult("id").backend is app.backend
    assert result.supports_native_join


@pytest.mark.parametrize("id", ["", None, 3])
def test_a_result_needs_an_id(app: Celery, id: Any) -> None:
    with pytest.raises(ValueError, match="a result needs the id of a task, got"):
        AsyncResult(id, app=app)


def test_the_disabled_store_shows_which_it_is() -> None:
    app = make_app(result_backend="disabled")

    assert "DisabledBackend" in repr(app.AsyncResult("id").backend)
    with pytest.raises(NotImplementedError, match="set result_backend, for example result_backend = 'sqlite:///"):
        app.AsyncResult("id").get()


def test_what_only_extended_results_tell() -> None:
    app = make_app(result_extended=True)

    @app.task(name="proj.add")
    def add(x: int, y: int) -> int:
        return x + y

    app.backend.store([call(app, add, (1,), {"y": 2}, task_id="id", retries=3).record])  # type: ignore[list-item]  # there is one
    result = app.AsyncResult("id")

    assert (result.name, result.args, result.kwargs) == ("proj.add", [1], {"y": 2})
    assert (result.worker, result.retries, result.queue) == ("w1@host", 3, "celery")
    assert app.AsyncResult("nobody").worker is None


def test_a_timeout_that_is_no_number_is_one_line(app: Celery) -> None:
    with pytest.raises(TypeError, match=r"^timeout must be seconds, got 'soon'$"):
        app.AsyncResult("id").get(timeout="soon")  # type: ignore[arg-type]  # the point


def test_an_error_of_a_parent_ends_the_waiting(app: Celery) -> None:
    first = put(app, "first", "FAILURE", encode_failure(KeyError("first")))
    middle: AsyncResult[Any] = AsyncResult("middle", app=app, parent=first)
    last: AsyncResult[Any] = AsyncResult("last", app=app, parent=middle)

    with pytest.raises(KeyError):
        last.get(timeout=DEADLINE_S)
    with pytest.raises(errors.TimeoutError):
        last.get(timeout=0.01, follow_parents=False)
    put(app, "last", "SUCCESS", 1)
    with pytest.raises(KeyError):
        last.get(timeout=DEADLINE_S)
    assert last.get(timeout=DEADLINE_S, follow_parents=False) == 1


def test_a_parents_error_is_found_while_waiting(app: Celery) -> None:
    parent = app.AsyncResult("parent")
    child: AsyncResult[Any] = AsyncResult("child", app=app, parent=parent)

    def fail() -> None:
        put(app, "parent", "FAILURE", encode_failure(KeyError("late")))

    with pytest.raises(KeyError):
        child.get(timeout=DEADLINE_S, interval=0.01, on_interval=fail)


def test_who_waits_can_look_up_now_and_then(app: Celery) -> None:
    result = put(app, "id", "PROGRESS", {"done": 1})
    seen: list[Any] = []
    looks = []

    def look() -> None:
        looks.append(1)
        put(app, "id", "PROGRESS", {"done": 2}) if len(looks) == 1 else put(app, "id", "SUCCESS", 5)

    value = result.get(timeout=DEADLINE_S, interval=0.01, on_message=seen.append, on_interval=look)

    assert value == 5
    assert [(message["status"], message["result"]) for message in seen] == [
        ("PROGRESS", {"done": 1}),
        ("PROGRESS", {"done": 2}),
        ("SUCCESS", 5),
    ]
    assert seen[0]["task_id"] == "id"


def test_looking_up_now_and_then_ends_in_time(app: Celery) -> None:
    with pytest.raises(errors.TimeoutError, match=r"task id was not ready after 0\.02 s"):
        app.AsyncResult("id").get(timeout=0.02, interval=0.01, on_interval=lambda: None)


def test_maybe_throw_says_what_there_is_by_now(app: Celery) -> None:
    got: list[Any] = []

    assert app.AsyncResult("nobody").maybe_throw() is None
    assert put(app, "a", "SUCCESS", 1).maybe_throw(callback=lambda *said: got.append(said)) == 1
    failed = put(app, "b", "FAILURE", encode_failure(KeyError("k")))
    with pytest.raises(KeyError):
        failed.maybe_reraise()
    assert isinstance(failed.maybe_throw(propagate=False), KeyError)
    assert got == [("a", 1)]


def family(app: Celery) -> Any:
    """A task that sent two others, the second of which sent one more."""
    put(app, "leaf", "SUCCESS", 4)
    put(app, "one", "SUCCESS", 2)
    put(app, "two", "SUCCESS", 3, children=["leaf"])
    return put(app, "root", "SUCCESS", 1, children=["one", "two"])


def test_all_that_a_task_sent_is_collected(app: Celery) -> None:
    root = family(app)

    assert [(node.id, value) for node, value in root.collect(timeout=DEADLINE_S)] == [
        ("root", 1),
        ("one", 2),
        ("two", 3),
        ("leaf", 4),
    ]
    assert [(parent and parent.id, node.id) for parent, node in root.iterdeps()] == [
        (None, "root"),
        ("root", "one"),
        ("root", "two"),
        ("two", "leaf"),
    ]
    assert root.get_leaf() == 4


def test_what_is_not_ready_may_send_more(app: Celery) -> None:
    root = put(app, "root", "SUCCESS", 1, children=["open"])

    with pytest.raises(errors.IncompleteStream, match="task open is not ready, and may yet send others"):
        list(root.iterdeps())
    assert [node.id for _, node in root.iterdeps(intermediate=True)] == ["root", "open"]


def test_what_a_task_sent_is_a_graph(app: Celery) -> None:
    graph = family(app).graph
    written = io.StringIO()
    graph.to_dot(written)

    assert ([str(node) for node in graph], len(graph), "leaf" in graph) == (["root", "one", "two", "leaf"], 4, True)
    assert [str(node) for node in graph.edges()] == ["root", "two"]
    assert [str(node) for node in graph[app.AsyncResult("root")]] == ["one", "two"]
    assert graph.valency_of("root") == 4 - 1
    assert '    "two" -> "leaf"' in written.getvalue()
    assert str(graph).splitlines()[0] == "root: one, two"


def test_a_handle_is_described_by_tuples_and_back(app: Celery) -> None:
    result: AsyncResult[Any] = AsyncResult("id", app=app, parent=app.AsyncResult("up"))

    assert result.as_tuple() == (("id", (("up", None), None)), None)
    assert result.as_list() == ["id", "up"]

    read = result_from_tuple(json.loads(json.dumps(result.as_tuple())), app)
    assert (read, read.parent, read.app) == ("id", "up", app)
    assert result_from_tuple(result) is result
    assert result_from_tuple(("id", None), app) == "id"


def test_what_describes_no_handle_is_refused(app: Celery) -> None:
    for described in (3, "id", ((3, None), None), (("g", None), 3), ()):
        with pytest.raises(ValueError, match="a result is described by"):
            result_from_tuple(described, app)


def test_forgetting_forgets_the_parents_too(app: Celery) -> None:
    parent = put(app, "up", "SUCCESS", 1)
    put(app, "id", "SUCCESS", 2)

    AsyncResult[Any]("id", app=app, parent=parent).forget()

    assert not app.AsyncResult("up").exists()
    assert not app.AsyncResult("id").exists()


def test_revoking_asks_the_workers(app: Celery, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(app.control, "revoke", lambda *args, **options: asked.append((args, options)), raising=False)
    monkeypatch.setattr(
        app.control,
        "revoke_by_stamped_headers",
        lambda *args, **options: asked.append((args, options)),
        raising=False,
    )
    options = {"connection": None, "terminate": True, "signal": "KILL", "reply": True, "timeout": 1}

    app.AsyncResult("id").revoke(terminate=True, signal="KILL", wait=True, timeout=1)
    app.AsyncResult("id").revoke_by_stamped_headers({"a": 1}, terminate=True, signal="KILL", wait=True, timeout=1)

    assert asked == [(("id",), options), (({"a": 1},), options)]


def test_waiting_may_be_denied_everywhere(app: Celery) -> None:
    result = put(app, "id", "SUCCESS", 1)

    with denied_join_result():
        with pytest.raises(RuntimeError, match=r"^this waits for another task, which may never get a process"):
            result.get()
        with allow_join_result():
            assert result.get(timeout=DEADLINE_S) == 1
    assert_will_not_block()
