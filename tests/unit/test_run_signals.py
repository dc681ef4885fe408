"""Signals and hooks of a run: which, in which order, with what."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from celery_rs import Celery, Task, errors, signals
from celery_rs.app.loaders import Loader
from tests.apps import call, make_app

Told = list[tuple[str, dict[str, Any]]]
OF_A_RUN = ("task_prerun", "task_postrun", "task_success", "task_retry", "task_failure", "task_internal_error")


@pytest.fixture
def app() -> Celery:
    return make_app()


@pytest.fixture
def told() -> Iterator[Told]:
    """All that the signals of runs say, in order."""
    heard: Told = []
    receivers: list[tuple[signals.Signal, Callable[..., object]]] = []
    for name in OF_A_RUN:
        signal = signals.SIGNALS[name]
        receivers.append((signal, signal.connect(partial(_hear, heard, name), weak=False)))
    yield heard
    for signal, receive in receivers:
        signal.disconnect(receive)


def _hear(heard: Told, name: str, /, **said: Any) -> None:
    heard.append((name, said))


class Hooked(Task[..., Any]):
    """Adds what its hooks are told to the list `heard`, which the test gives it."""

    heard: Any = None

    def before_start(self, *args: Any) -> None:
        self.heard.append(("before_start", args))

    def on_success(self, *args: Any) -> None:
        self.heard.append(("on_success", args))

    def on_failure(self, *args: Any) -> None:
        self.heard.append(("on_failure", args))

    def on_retry(self, *args: Any) -> None:
        self.heard.append(("on_retry", args))

    def after_return(self, *args: Any) -> None:
        self.heard.append(("after_return", args))


def names(told: Told) -> list[str]:
    return [name for name, _ in told]


def test_a_success_in_celerys_order(app: Celery, told: Told) -> None:
    @app.task(base=Hooked, heard=told)
    def add(x: int, y: int = 0) -> int:
        told.append(("run", {}))
        return x + y

    call(app, add, (2,), {"y": 3}, task_id="id")

    assert names(told) == [
        "task_prerun",
        "before_start",
        "run",
        "on_success",
        "task_success",
        "after_return",
        "task_postrun",
    ]
    said = dict(told)
    assert said["task_prerun"] | {"signal": None} == {
        "signal": None,
        "sender": add,
        "task_id": "id",
        "task": add,
        "args": [2],
        "kwargs": {"y": 3},
    }
    assert (said["task_success"]["sender"], said["task_success"]["result"]) == (add, 5)
    assert said["task_success"]["runtime"] >= 0
    assert (said["task_postrun"]["retval"], said["task_postrun"]["state"]) == (5, "SUCCESS")


def test_started_is_told_between_the_signal_and_before_start(app: Celery, told: Told) -> None:
    from tests.apps import run

    @app.task(base=Hooked, heard=told, track_started=True)
    def add() -> None: ...

    run(app, app.compose(add.name, (), {}), tell=lambda record: told.append((record.state, {})))

    assert names(told)[:3] == ["task_prerun", "STARTED", "before_start"]


def test_a_failure_in_celerys_order(app: Celery, told: Told) -> None:
    @app.task(base=Hooked, heard=told)
    def fail(x: int) -> None:
        raise KeyError("k")

    call(app, fail, (2,), task_id="id")

    assert names(told) == [
        "task_prerun",
        "before_start",
        "on_failure",
        "task_failure",
        "after_return",
        "task_postrun",
    ]
    said = dict(told)
    failure = said["task_failure"]
    assert (failure["sender"], failure["task_id"], failure["args"], failure["kwargs"]) == (fail, "id", [2], {})
    assert isinstance(failure["exception"], KeyError)
    assert failure["traceback"] is failure["exception"].__traceback__
    assert str(failure["einfo"]).endswith("KeyError: 'k'\n")
    assert said["task_postrun"]["state"] == "FAILURE"
    assert said["task_postrun"]["retval"] is failure["exception"]


def test_a_retry_in_celerys_order(app: Celery, told: Told) -> None:
    @app.task(base=Hooked, heard=told, bind=True)
    def again(self: Any) -> None:
        raise self.retry(exc=KeyError("k"), countdown=5)

    call(app, again, task_id="id")

    assert names(told) == ["task_prerun", "before_start", "on_retry", "task_retry", "task_postrun"]
    said = dict(told)
    assert (said["task_retry"]["request"].id, said["task_postrun"]["state"]) == ("id", "RETRY")
    assert str(said["task_retry"]["reason"]) == "Retry in 5s: KeyError('k')"
    assert "KeyError: 'k'" in str(said["task_retry"]["einfo"])


@pytest.mark.parametrize(
    ("error", "state", "between"),
    [
        (errors.Ignore(), "IGNORED", []),
        (errors.Reject("no", requeue=True), "REJECTED", []),
        (errors.Reject("no"), "REJECTED", ["task_failure"]),
    ],
)
def test_what_is_no_end_is_told_by_postrun(
    app: Celery, told: Told, error: Exception, state: str, between: list[str]
) -> None:
    @app.task
    def end() -> None:
        raise error

    call(app, end)

    assert names(told) == ["task_prerun", *between, "task_postrun"]
    assert told[-1][1]["state"] == state


def test_a_hook_that_fails_leaves_the_end_as_it_is(app: Celery, told: Told, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Task[..., Any]):
        def on_success(self, *_: Any) -> None:
            raise errors.Reject("too late")

        def after_return(self, *_: Any) -> None:
            raise RuntimeError("after_return")

    @app.task(base=Broken, name="proj.fine")
    def fine() -> int:
        return 1

    outcome = call(app, fine, task_id="id")

    assert (outcome.end, outcome.text) == ("success", "1")
    assert names(told) == ["task_prerun", "task_success", "task_postrun"]
    assert [record.getMessage() for record in caplog.records] == [
        "on_success of task proj.fine[id] failed",
        "after_return of task proj.fine[id] failed",
    ]


def test_a_receiver_that_fails_does_not_fail_the_task(app: Celery, caplog: pytest.LogCaptureFixture) -> None:
    def broken(**_: Any) -> None:
        raise RuntimeError("monitor")

    @app.task
    def fine() -> int:
        return 1

    signals.task_prerun.connect(broken)
    outcome = call(app, fine)
    signals.task_prerun.disconnect(broken)

    assert outcome.end == "success"


def test_the_request_is_the_current_one_in_every_receiver(app: Celery) -> None:
    seen: list[Any] = []

    @app.task(bind=True)
    def look(self: Any) -> None: ...

    def receive(**_: Any) -> None:
        seen.append(look.request.id)

    signals.task_prerun.connect(receive)
    signals.task_postrun.connect(receive)
    call(app, look, task_id="id")
    signals.task_prerun.disconnect(receive)
    signals.task_postrun.disconnect(receive)

    assert seen == ["id", "id"]


def test_our_own_failure_is_an_internal_error_and_the_caller_hears_of_it(
    app: Celery, told: Told, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    @app.task(name="proj.add")
    def add() -> int:
        return 1

    def broken(value: object, limit: int = 0) -> str:
        if value == 1:
            raise RuntimeError("ours")
        return repr(value)

    monkeypatch.setattr("celery_rs.execution.run.preview", broken)
    outcome = call(app, add, task_id="id")

    assert (outcome.end, outcome.text) == ("failure", "RuntimeError('ours')")
    assert outcome.record is not None
    assert outcome.record.state == "FAILURE"
    said = dict(told)
    assert names(told) == ["task_prerun", "task_internal_error", "task_postrun"]
    assert (said["task_internal_error"]["task_id"], said["task_internal_error"]["sender"]) == ("id", add)
    assert isinstance(said["task_internal_error"]["exception"], RuntimeError)
    assert [record.getMessage() for record in caplog.records] == ["task proj.add[id] could not be ended as it should"]


def test_the_loader_is_told_of_each_run() -> None:
    heard: list[Any] = []

    class Telling(Loader):
        def on_task_init(self, task_id: str, task: Any) -> None:
            heard.append((task_id, task.name))

        def on_process_cleanup(self) -> None:
            heard.append("cleanup")

    app = make_app(loader=Telling)

    @app.task(name="proj.add")
    def add() -> None:
        heard.append("run")

    assert app.loader is not None
    call(app, add, task_id="id")

    assert heard == [("id", "proj.add"), "run", "cleanup"]


def test_a_loader_that_fails_fails_the_task_and_not_the_process(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Loader):
        def on_task_init(self, task_id: str, task: Any) -> None:
            raise RuntimeError("init")

        def on_process_cleanup(self) -> None:
            raise RuntimeError("cleanup")

    app = make_app(loader=Broken)

    @app.task(name="proj.add")
    def add() -> None: ...

    assert app.loader is not None
    outcome = call(app, add, task_id="id")

    assert (outcome.end, outcome.text) == ("failure", "RuntimeError('init')")
    assert [record.getMessage() for record in caplog.records] == [
        "task proj.add[id] could not be ended as it should",
        "the loader's on_process_cleanup failed",
    ]
