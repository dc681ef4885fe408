"""Results that are awaited, and callbacks of results: one thread, whoever waits."""

import asyncio
import os
import pickle
import subprocess
import sys
import threading
import weakref
from typing import Any

import pytest

from celery_rs import Celery, errors
from celery_rs.results import AsyncResult, ResultSet, awaiting
from celery_rs.wire import TaskResult, encode_failure, encode_meta
from tests.apps import call, make_app
from tests.deadlines import eventually

PATIENCE = 10.0


@pytest.fixture
def app() -> Celery:
    return make_app()


def record(task_id: str, state: str, value: object) -> TaskResult:
    return TaskResult(task_id, state, 0, encode_meta(task_id, state, value, now=0.0))


def test_a_result_can_be_awaited(app: Celery) -> None:
    async def main() -> Any:
        result = app.AsyncResult("id")
        waiting = asyncio.ensure_future(_awaited(result))
        await asyncio.sleep(0)
        await asyncio.to_thread(app.backend.store, [record("id", "SUCCESS", 5)])
        return await asyncio.wait_for(waiting, PATIENCE)

    assert asyncio.run(main()) == 5


async def _awaited(result: AsyncResult[Any]) -> Any:
    return await result


def test_awaiting_raises_what_the_task_raised(app: Celery) -> None:
    app.backend.store([record("id", "FAILURE", encode_failure(ValueError("boom")))])

    with pytest.raises(ValueError, match="boom"):
        asyncio.run(asyncio.wait_for(_awaited(app.AsyncResult("id")), PATIENCE))


def test_a_ready_and_an_ignored_result_are_there_at_once(app: Celery) -> None:
    app.backend.store([record("id", "SUCCESS", 5)])
    ready = app.AsyncResult("id")
    assert ready.get(timeout=PATIENCE) == 5
    ignored: AsyncResult[Any] = AsyncResult("other", app=app, ignored=True)

    async def main() -> list[Any]:
        return [await ready, await ignored]

    assert asyncio.run(main()) == [5, None]


def test_many_results_are_awaited_by_one_thread(app: Celery) -> None:
    ids = [f"id-{i}" for i in range(100)]

    async def main() -> list[Any]:
        before = set(threading.enumerate())
        waiting = [asyncio.ensure_future(_awaited(app.AsyncResult(task_id))) for task_id in ids]
        await asyncio.sleep(0)
        started = set(threading.enumerate()) - before
        assert [thread.name for thread in started] == ["celery-rs-results"]
        await asyncio.to_thread(app.backend.store, [record(task_id, "SUCCESS", task_id) for task_id in ids])
        return await asyncio.wait_for(asyncio.gather(*waiting), PATIENCE)

    assert asyncio.run(main()) == ids


def test_a_cancelled_await_leaves_nobody_waiting(app: Celery) -> None:
    async def main() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(_awaited(app.AsyncResult("id")), 0.01)

    asyncio.run(main())

    assert not awaiting.watcher(app.backend)._waiting


def test_two_may_await_one_result(app: Celery) -> None:
    async def main() -> list[Any]:
        waiting = [asyncio.ensure_future(_awaited(app.AsyncResult("id"))) for _ in range(2)]
        await asyncio.sleep(0)
        await asyncio.to_thread(app.backend.store, [record("id", "SUCCESS", 5)])
        return await asyncio.wait_for(asyncio.gather(*waiting), PATIENCE)

    assert asyncio.run(main()) == [5, 5]


def test_a_store_that_cannot_be_asked_is_the_awaiters_error() -> None:
    app = make_app(result_backend="disabled")

    with pytest.raises(errors.NotSupported, match="no result backend is set"):
        asyncio.run(asyncio.wait_for(_awaited(app.AsyncResult("id")), PATIENCE))


def test_a_task_may_not_await_another(app: Celery) -> None:
    @app.task
    def waits() -> None:
        asyncio.run(_awaited(app.AsyncResult("id")))

    assert call(app, waits).text.startswith("RuntimeError(\"task 'tests.unit.test_awaiting.waits' waits for another")


def test_awaiting_without_asyncio_says_so(app: Celery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncio", None)

    with pytest.raises(RuntimeError, match="needs a running asyncio loop; use get"):
        app.AsyncResult("id").__await__().send(None)


def test_results_do_not_import_asyncio() -> None:
    code = "import sys, celery_rs.results; sys.exit('asyncio' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_eager_result_can_be_awaited(app: Celery) -> None:
    @app.task
    def add() -> int:
        return 3

    assert asyncio.run(_awaited(add.apply())) == 3


def test_then_calls_back_when_the_result_comes(app: Celery) -> None:
    called = threading.Event()
    got: list[Any] = []

    def callback(result: Any) -> None:
        got.append((result.id, result.get()))
        called.set()

    app.AsyncResult("id").then(callback)
    app.backend.store([record("id", "SUCCESS", 5)])

    assert called.wait(PATIENCE)
    assert got == [("id", 5)]


def test_then_of_a_ready_result_calls_back_at_once(app: Celery) -> None:
    app.backend.store([record("id", "FAILURE", encode_failure(ValueError("boom")))])
    result = app.AsyncResult("id")
    got: list[Any] = []

    assert result.failed()
    result.then(got.append)

    assert got == [result]
    assert result.on_ready.ready


def test_what_a_callback_raises_goes_to_on_error_or_the_log(app: Celery, caplog: pytest.LogCaptureFixture) -> None:
    app.backend.store([record("id", "SUCCESS", 5)])
    result = app.AsyncResult("id")
    assert result.get(timeout=PATIENCE) == 5
    got: list[BaseException] = []

    def broken(_: Any) -> None:
        raise KeyError("callback")

    result.then(broken, on_error=got.append)
    result.then(broken)

    assert [repr(error) for error in got] == ["KeyError('callback')"]
    assert [entry.getMessage() for entry in caplog.records] == ["a callback of the result id raised"]


def test_throw_ends_the_waiting_of_then(app: Celery) -> None:
    result = app.AsyncResult("id")
    got: list[BaseException] = []

    result.then(print, on_error=got.append)
    result.throw(KeyError("gone"))
    awaiting.watcher(app.backend).drop("id", result._hear)

    assert [repr(error) for error in got] == ["KeyError('gone')"]


def test_a_handler_of_errors_that_raises_leaves_those_who_wait_for_others_alone(
    app: Celery, caplog: pytest.LogCaptureFixture
) -> None:
    called = threading.Event()
    got: list[BaseException] = []

    def raises(_: object) -> None:
        raise KeyError("mine")

    app.AsyncResult("a").then(raises, on_error=raises)
    app.AsyncResult("b").then(lambda _: called.set(), on_error=got.append)
    app.backend.store([record("a", "SUCCESS", 1)])
    eventually(lambda: [entry.getMessage() for entry in caplog.records])
    app.backend.store([record("b", "SUCCESS", 2)])

    assert called.wait(PATIENCE)
    assert got == []
    assert [entry.getMessage() for entry in caplog.records] == ["the handler of an error of a result raised"]


def test_a_callback_that_ends_its_thread_leaves_others_waiting_as_they_were(
    app: Celery, caplog: pytest.LogCaptureFixture
) -> None:
    called = threading.Event()

    app.AsyncResult("a").then(lambda _: sys.exit(3))
    app.AsyncResult("b").then(lambda _: called.set())
    app.backend.store([record("a", "SUCCESS", 1)])
    eventually(lambda: [entry.getMessage() for entry in caplog.records])
    app.backend.store([record("b", "SUCCESS", 2)])

    assert called.wait(PATIENCE)
    assert [entry.getMessage() for entry in caplog.records] == [
        "a callback of the result a asked its thread to end; others wait in it"
    ]


def test_a_record_that_cannot_be_read_is_the_error_of_its_own_result(app: Celery) -> None:
    called = threading.Event()
    got: list[BaseException] = []

    app.AsyncResult("b").then(lambda _: called.set())
    app.AsyncResult("a").then(print, on_error=got.append)
    app.backend.store([TaskResult("a", "SUCCESS", 0, b"[]")])
    eventually(lambda: got)
    app.backend.store([record("b", "SUCCESS", 2)])

    assert called.wait(PATIENCE)
    assert [type(error) for error in got] == [errors.BackendGetMetaError]


def test_a_store_that_nobody_waits_for_is_not_kept(app: Celery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(awaiting, "IDLE_S", 0.01)
    app.backend.store([record("id", "SUCCESS", 5)])
    assert asyncio.run(asyncio.wait_for(_awaited(app.AsyncResult("id")), PATIENCE)) == 5

    kept = weakref.ref(app.backend)
    app.close()

    eventually(lambda: kept() is None)


def test_all_who_wait_for_a_store_that_is_asked_again_share_a_thread() -> None:
    app = make_app(result_backend_always_retry=True)

    assert app.AsyncResult("a").backend is app.AsyncResult("b").backend
    app.conf.result_backend_max_retries = 1
    app.close()
    assert app.AsyncResult("a").backend is app.AsyncResult("b").backend


def test_a_store_that_cannot_be_asked_goes_to_on_error() -> None:
    app = make_app(result_backend="disabled")
    called = threading.Event()
    got: list[BaseException] = []

    def on_error(error: BaseException) -> None:
        got.append(error)
        called.set()

    app.AsyncResult("id").then(print, on_error=on_error)

    assert called.wait(PATIENCE)
    assert isinstance(got[0], errors.NotSupported)


def test_a_forked_child_waits_by_itself(app: Celery) -> None:
    first = awaiting.watcher(app.backend)
    pid = os.fork()
    if pid == 0:
        os._exit(awaiting.watcher(app.backend) is first)

    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_a_set_calls_back_when_all_are_ready(app: Celery) -> None:
    called = threading.Event()
    results = ResultSet([app.AsyncResult("a"), app.AsyncResult("b")])

    results.then(lambda _: called.set())
    app.backend.store([record("a", "SUCCESS", 1)])
    assert not called.is_set()
    app.backend.store([record("b", "SUCCESS", 2)])

    assert called.wait(PATIENCE)


def test_handles_are_pickled_without_their_app(app: Celery) -> None:
    app.set_current()

    read = pickle.loads(pickle.dumps(AsyncResult("id", app=app, task_name="t", parent=app.AsyncResult("up"))))

    assert (read.id, read.name, read.parent, read.app) == ("id", "t", "up", app)
