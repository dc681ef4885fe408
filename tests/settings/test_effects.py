"""What single settings do, where no other test shows it. Rows of the table name these tests."""

import threading
import time
from datetime import datetime
from math import inf
from pathlib import Path
from typing import Any

import pytest

from celery_rs._core import seal_envelopes
from celery_rs.app.router import Router
from celery_rs.backends import Patience, RetryingBackend
from celery_rs.backends.memory import MemoryBackend
from celery_rs.config import Settings
from celery_rs.errors import BackendError, ImproperlyConfigured
from celery_rs.transports import Route
from celery_rs.wire import Exchange, TaskResult, encode_failure, encode_meta
from celery_rs.worker.policy import policy_of
from tests.apps import call, drain, make_app, run
from tests.deadlines import DEADLINE_S, SOON_S

DAY = 24 * 3600


def test_messages_and_results_are_in_the_files_of_the_settings(tmp_path: Path) -> None:
    broker, results = tmp_path / "broker.sqlite3", tmp_path / "results.sqlite3"
    app = make_app(broker_url=f"sqlite:///{broker}", result_backend=f"sqlite:///{results}")

    @app.task(name="t")
    def t() -> int:
        return 7

    sent = t.delay()
    drain(app)
    app.close()

    others = make_app(broker_url=f"sqlite:///{results}", result_backend=f"sqlite:///{broker}")
    assert app.AsyncResult(sent.id).get(timeout=DEADLINE_S) == 7
    assert others.AsyncResult(sent.id).state == "PENDING"
    for one in (app, others):
        one.close()


def test_task_repr_maxlevels_is_how_deep_arguments_are_shown() -> None:
    def shown(**settings: Any) -> Any:
        return make_app(**settings).compose("t", ([[[["deep"]]]],), {}).message.argsrepr

    assert "deep" not in shown(task_repr_maxlevels=1)
    assert "deep" in shown(task_repr_maxlevels=9)


@pytest.mark.parametrize(
    ("setting", "value", "field", "otherwise"),
    [
        ("task_acks_late", True, "late", False),
        ("task_time_limit", 5.0, "hard_limit", None),
        ("task_soft_time_limit", 4.0, "soft_limit", None),
        ("task_default_rate_limit", "10/m", "rate", None),
        ("task_acks_on_failure", False, "acks_on_failure", True),
        ("task_acks_on_timeout", False, "acks_on_timeout", True),
        ("task_acks_on_failure_or_timeout", False, "acks_on_failure", True),
        ("task_acks_on_failure_or_timeout", False, "acks_on_timeout", True),
        ("task_reject_on_worker_lost", True, "reject_on_worker_lost", False),
        ("task_store_errors_even_if_ignored", True, "store_errors", False),
        ("task_ignore_result", True, "ignore_result", False),
    ],
)
def test_what_tasks_do_not_say_the_settings_do(setting: str, value: object, field: str, otherwise: object) -> None:
    def policy(**settings: Any) -> Any:
        app = make_app(**settings)

        @app.task(name="t")
        def t() -> None: ...

        return getattr(policy_of(app.tasks["t"], app.conf), field)

    assert policy() == otherwise
    assert policy(**{setting: value}) == value


def test_started_is_stored_where_the_setting_says_so() -> None:
    told: list[TaskResult] = []
    app = make_app(task_track_started=True)

    @app.task(name="t")
    def t() -> None: ...

    run(app, app.compose("t", (), {}), tell=told.append)

    assert [record.state for record in told] == ["STARTED"]


def test_rate_limits_can_be_disabled() -> None:
    app = make_app(worker_disable_rate_limits=True)

    @app.task(name="t", rate_limit="1/m")
    def t() -> None: ...

    assert policy_of(app.tasks["t"], app.conf).rate is None


def test_task_default_priority_is_for_calls_that_set_none() -> None:
    app = make_app(task_default_priority=4)

    assert app.compose("t", (), {}).message.priority == 4
    assert app.compose("t", (), {}, priority=7).message.priority == 7


def test_a_tasks_calls_inherit_its_priority_where_asked() -> None:
    def priority_of_child(**settings: Any) -> int | None:
        app = make_app(**settings)

        @app.task(name="child")
        def child() -> None: ...

        @app.task(name="parent")
        def parent() -> int | None:
            return app.compose("child", (), {}).message.priority

        record = call(app, parent, priority=6).record
        assert record is not None
        app.backend.store([record])
        found: int | None = app.AsyncResult(record.task_id).get(timeout=DEADLINE_S)
        return found

    assert priority_of_child(task_inherit_parent_priority=True) == 6
    assert priority_of_child() != 6


def test_task_default_delivery_mode_is_for_calls_that_set_none() -> None:
    assert b'"delivery_mode":1' in sealed(make_app(task_default_delivery_mode="transient"))
    assert b'"delivery_mode":2' in sealed(make_app())


def sealed(app: Any) -> bytes:
    outgoing = app.compose("t", (), {})
    (raw,) = seal_envelopes([outgoing.message], [outgoing.route])
    return bytes(raw).replace(b" ", b"")


def test_the_default_queue_is_where_the_settings_say() -> None:
    app = make_app(
        task_default_queue="q",
        task_default_exchange="ex",
        task_default_exchange_type="topic",
        task_default_routing_key="key.#",
    )

    (queue,) = app.queues()

    assert (queue.name, queue.exchange, queue.routing_key) == ("q", Exchange("ex", "topic"), "key.#")
    assert app.compose("t", (), {}).route == Route("ex", "key.#")


def test_queues_are_of_the_type_that_is_asked_for() -> None:
    router = Router(Settings({"task_default_queue_type": "quorum"}))
    assert [queue.queue_arguments for queue in router.queues()] == [{"x-queue-type": "quorum"}]
    assert router.queue("new").queue_arguments == {}

    router = Router(Settings({"task_create_missing_queue_type": "quorum"}))
    assert [queue.queue_arguments for queue in router.queues()] == [{}]
    assert router.queue("new").queue_arguments == {"x-queue-type": "quorum"}


def test_missing_queues_have_an_exchange_of_the_type_that_is_asked_for() -> None:
    app = make_app(task_create_missing_queue_exchange_type="topic")

    (queue,) = app.queues(include=["new"])

    assert (queue.exchange, queue.routing_key) == (Exchange("new", "topic"), "new")
    assert app.compose("t", (), {}, queue="new").route == Route("new", "new")
    assert make_app().compose("t", (), {}, queue="new").route == Route("", "new")


def test_broker_transport_options_reach_the_broker(tmp_path: Path) -> None:
    app = make_app(broker_url=f"sqlite:///{tmp_path}/a.sqlite3", broker_transport_options={"no_such_option": 1})

    with pytest.raises(ImproperlyConfigured, match="no_such_option"):
        _ = app.transport


def test_result_backend_transport_options_reach_the_store(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.sqlite3"
    app = make_app(result_backend=url, result_backend_transport_options={"no_such_option": 1})

    with pytest.raises(ImproperlyConfigured, match="no_such_option"):
        _ = app.backend


def test_result_expires_is_how_long_a_result_is_kept() -> None:
    app = make_app(result_expires=0.01)

    @app.task(name="t")
    def t() -> int:
        return 1

    result = app.send_task("t")
    drain(app)
    deadline = time.monotonic() + DEADLINE_S
    while app.AsyncResult(result.id).state != "PENDING":
        assert time.monotonic() < deadline
        time.sleep(0.005)  # an expiry gives no event


class OwnStore(MemoryBackend):
    """A store of the user's own."""

    opened: tuple[str, dict[str, Any], float | None]

    @classmethod
    def open(cls, url: str, options: dict[str, Any], *, expires: float | None) -> "OwnStore":
        store = cls(url.partition("://")[2], expires=expires)
        store.opened = (url, dict(options), expires)
        return store


def test_a_failure_is_kept_as_long_as_its_own_setting_says() -> None:
    app = make_app(result_expires=DAY, result_failure_expires=0.01)
    for state in ("SUCCESS", "FAILURE"):
        error = encode_failure(ValueError("boom"))
        app.backend.store([TaskResult(state, state, 0, encode_meta(state, state, error, now=0.0))])

    deadline = time.monotonic() + DEADLINE_S
    while app.AsyncResult("FAILURE").state != "PENDING":
        assert time.monotonic() < deadline
        time.sleep(0.005)  # an expiry gives no event
    assert app.AsyncResult("SUCCESS").state == "SUCCESS"


@pytest.mark.parametrize("given", [OwnStore, f"{__name__}.OwnStore", f"{__name__}:OwnStore"])
def test_a_result_store_of_ones_own_has_a_name(given: Any) -> None:
    app = make_app(override_backends={"own": given}, result_backend="own://there", result_expires=DAY)

    store: Any = app.backend

    assert store.opened == ("own://there", {}, DAY)


def test_a_result_store_that_cannot_be_opened_is_one_line() -> None:
    app = make_app(override_backends={"own": datetime}, result_backend="own://there")

    with pytest.raises(ImproperlyConfigured, match=r"^override_backends: expected a result store with a class method"):
        _ = app.backend


class Failing:
    """A store that fails so often before it answers."""

    def __init__(self, store: Any, failures: int) -> None:
        self.store, self.failures, self.asked = store, failures, 0

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> Any:
            self.asked += 1
            if self.asked <= self.failures:
                raise BackendError("the store is away")
            return getattr(self.store, name)(*arguments)

        return call


def app_with_failing_store(failures: int, **settings: Any) -> Any:
    app = make_app(**settings)
    app.backend.store([TaskResult("id", "SUCCESS", 0, b'{"status": "SUCCESS", "result": 7}')])
    app._backend = Failing(app.backend, failures)
    return app


QUICKLY = {"result_backend_base_sleep_between_retries_ms": 1, "result_backend_max_sleep_between_retries_ms": 2}


def test_a_client_asks_a_failing_store_again_where_the_setting_says_so() -> None:
    app = app_with_failing_store(3, result_backend_always_retry=True, **QUICKLY)
    assert app.AsyncResult("id").state == "SUCCESS"

    app = app_with_failing_store(3, result_backend_always_retry=True, **QUICKLY)
    assert app.AsyncResult("id").get(timeout=DEADLINE_S) == 7

    with pytest.raises(BackendError, match="the store is away"):
        _ = app_with_failing_store(1).AsyncResult("id").state


def test_a_client_asks_as_often_as_the_setting_says() -> None:
    app = app_with_failing_store(9, result_backend_always_retry=True, result_backend_max_retries=2, **QUICKLY)

    with pytest.raises(BackendError, match="the store is away"):
        _ = app.AsyncResult("id").state

    assert app.backend.asked == 3


def test_the_pauses_between_tries_are_those_of_the_settings() -> None:
    pauses: list[float] = []
    store: Any = Failing(make_app().backend, 5)
    conf = Settings(
        {"result_backend_base_sleep_between_retries_ms": 100, "result_backend_max_sleep_between_retries_ms": 200}
    )
    first, most = conf.result_backend_base_sleep_between_retries_ms, conf.result_backend_max_sleep_between_retries_ms

    RetryingBackend(store, Patience(inf, first / 1000, most / 1000), sleep=pauses.append).forget(["id"])

    assert all(0.05 <= pause <= 0.1 for pause in pauses[:1])
    assert all(0.1 <= pause <= 0.2 for pause in pauses[1:])
    assert len(pauses) == 5


def test_a_timeout_ends_the_asking() -> None:
    app = app_with_failing_store(10**9, result_backend_always_retry=True, **QUICKLY)
    began = time.monotonic()

    with pytest.raises(BackendError):
        app.AsyncResult("id").get(timeout=0.05)

    assert time.monotonic() - began < SOON_S


def test_a_store_that_is_asked_again_looks_like_itself() -> None:
    app = make_app(result_backend_always_retry=True)

    assert repr(app.AsyncResult("id").backend) == repr(app.backend)
    assert app.AsyncResult("id").backend.describe() == app.backend.describe()


def test_threads_share_one_result_store() -> None:
    app = make_app(result_backend_thread_safe=True)
    seen: list[object] = []

    thread = threading.Thread(target=lambda: seen.append(app.backend))
    thread.start()
    thread.join()

    assert seen == [app.backend]
