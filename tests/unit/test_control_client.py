"""`app.control`: what each method asks of workers, and what revoking does without any."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from celery_rs import Celery
from celery_rs.control import Control, Inspect
from celery_rs.errors import NotSupported, TaskRevokedError
from celery_rs.wire import ControlRequest, TaskResult
from tests.apps import make_app
from tests.deadlines import DEADLINE_S
from tests.fake_worker import fake_workers

Call = Callable[[Control], Any]


@pytest.fixture
def app() -> Celery:
    return make_app()


def heard(app: Celery, call: Call) -> ControlRequest:
    """What a worker hears of a call."""
    with fake_workers(app.transport, "w1@h") as (worker,):
        call(app.control)
        app.control.ping(limit=1)  # it has heard all that was sent before
    return worker.heard[0]


@pytest.mark.parametrize(
    ("call", "method", "arguments"),
    [
        (lambda c: c.revoke("a"), "revoke", {"task_id": ["a"], "terminate": False, "signal": "SIGTERM"}),
        (
            lambda c: c.revoke(["a", "b", "a"], terminate=True, signal="SIGKILL"),
            "revoke",
            {"task_id": ["a", "b"], "terminate": True, "signal": "SIGKILL"},
        ),
        (lambda c: c.terminate("a"), "revoke", {"task_id": ["a"], "terminate": True, "signal": "SIGTERM"}),
        (
            lambda c: c.revoke_by_stamped_headers({"k": ["v"]}),
            "revoke_by_stamped_headers",
            {"headers": {"k": ["v"]}, "terminate": False, "signal": "SIGTERM"},
        ),
        (lambda c: c.rate_limit("t", "1/m"), "rate_limit", {"task_name": "t", "rate_limit": "1/m"}),
        (lambda c: c.time_limit("t", 1, 2), "time_limit", {"task_name": "t", "soft": 1, "hard": 2}),
        (
            lambda c: c.add_consumer("q", "e", "topic", "k.#", {"durable": False}),
            "add_consumer",
            {"queue": "q", "exchange": "e", "exchange_type": "topic", "routing_key": "k.#", "durable": False},
        ),
        (lambda c: c.cancel_consumer("q"), "cancel_consumer", {"queue": "q"}),
        (lambda c: c.shutdown(), "shutdown", {}),
        (lambda c: c.pool_grow(2), "pool_grow", {"n": 2}),
        (lambda c: c.pool_shrink(), "pool_shrink", {"n": 1}),
        (lambda c: c.autoscale(5, 1), "autoscale", {"max": 5, "min": 1}),
        (lambda c: c.pool_restart(), "pool_restart", {"modules": None, "reload": False, "reloader": None}),
        (lambda c: c.enable_events(), "enable_events", {}),
        (lambda c: c.disable_events(), "disable_events", {}),
        (lambda c: c.heartbeat(), "heartbeat", {}),
        (lambda c: c.election("i", "t", {"a": 1}), "election", {"id": "i", "topic": "t", "action": {"a": 1}}),
        (lambda c: c.broadcast("mine", {"a": 1}, b=2), "mine", {"a": 1, "b": 2}),
        (lambda c: c.inspect(limit=1).query_task("a", "b"), "query_task", {"ids": ["a", "b"]}),
        (lambda c: c.inspect(limit=1).query_task(["a"]), "query_task", {"ids": ["a"]}),
        (lambda c: c.inspect(limit=1).conf(with_defaults=True), "conf", {"with_defaults": True}),
        (lambda c: c.inspect(limit=1).memdump(3), "memdump", {"samples": 3}),
        (lambda c: c.inspect(limit=1).scheduled(), "scheduled", {}),
        (lambda c: c.inspect(limit=1).revoked(), "revoked", {}),
        (lambda c: c.inspect(limit=1).clock(), "clock", {}),
    ],
)
def test_a_method_asks_for_what_celery_asks_for(app: Celery, call: Call, method: str, arguments: object) -> None:
    request = heard(app, call)

    assert (request.method, request.arguments) == (method, arguments)


def test_options_of_a_broadcast_go_with_every_command(app: Celery) -> None:
    with fake_workers(app.transport, "w1@h", "w2@h"):
        answers = app.control.pool_grow(1, destination=["w2@h"], reply=True, timeout=30)

    assert answers == [{"w2@h": {"ok": "pong of w2@h"}}]


def test_a_pattern_that_no_worker_would_match_is_refused_where_it_is_written(app: Celery) -> None:
    with pytest.raises(ValueError, match="look-around"):
        app.control.broadcast("ping", pattern="(?=w)", matcher="pcre")
    with pytest.raises(ValueError, match="'glob' or 'pcre'"):
        app.control.broadcast("ping", pattern="w*", matcher="like")


def test_a_connection_of_ones_own_is_refused_by_name(app: Celery) -> None:
    with pytest.raises(NotSupported, match="a connection"):
        app.control.revoke("a", connection=object())


def test_purge_drops_what_waits_and_counts_it(app: Celery) -> None:
    for _ in range(3):
        app.send_task("any")

    assert (app.control.purge(), app.control.discard_all()) == (3, 0)


def test_what_is_heard_moves_the_clock_on(app: Celery) -> None:
    with fake_workers(app.transport, "w1@h"):
        app.control.ping(limit=1)

    assert app.clock.value == 2  # it has said one thing, and heard one


def test_what_nobody_holds_is_revoked_without_a_worker(app: Celery) -> None:
    result, other = app.send_task("any"), app.send_task("any", countdown=60)

    app.control.revoke([result.id, other.id])

    for one in (result, other):
        assert one.state == "REVOKED"
        with pytest.raises(TaskRevokedError, match="revoked"):
            one.get(timeout=DEADLINE_S)
    _, facts = app.transport.facts.since(0)
    assert {fact.key for fact in facts} == {result.id, other.id}


def test_what_a_worker_holds_is_left_to_it(app: Celery) -> None:
    result = app.send_task("any")
    app.transport.consume(["celery"]).receive(1, DEADLINE_S)

    app.control.revoke(result.id)

    assert result.state == "PENDING"


@pytest.mark.parametrize(
    ("before", "after"), [("RETRY", "REVOKED"), ("STARTED", "STARTED"), ("SUCCESS", "SUCCESS"), ("FAILURE", "FAILURE")]
)
def test_only_what_has_not_started_becomes_revoked(app: Celery, before: str, after: str) -> None:
    meta = json.dumps({"status": before, "result": None, "traceback": None, "children": [], "task_id": "a"}).encode()
    app.backend.store([TaskResult("a", before, 1, meta)])

    app.control.revoke("a")

    assert app.AsyncResult("a").state == after


@pytest.mark.parametrize("options", [{"destination": ["w1@h"]}, {"pattern": "w*"}])
def test_a_revoke_for_some_workers_is_not_for_all(app: Celery, options: dict[str, Any]) -> None:
    result = app.send_task("any")

    app.control.revoke(result.id, **options)

    assert result.state == "PENDING"
    assert app.transport.facts.since(0)[1] == []


def test_revoking_works_where_no_results_are_kept() -> None:
    app = make_app(result_backend=None)

    app.control.revoke(app.send_task("any").id)

    assert len(app.transport.facts.since(0)[1]) == 1


def test_every_method_of_celerys_is_there() -> None:
    control = {
        *("add_consumer", "autoscale", "broadcast", "cancel_consumer", "disable_events", "discard_all", "election"),
        *("enable_events", "heartbeat", "inspect", "ping", "pool_grow", "pool_restart", "pool_shrink", "purge"),
        *("rate_limit", "revoke", "revoke_by_stamped_headers", "shutdown", "terminate", "time_limit"),
    }
    inspect = {
        *("active", "active_queues", "clock", "conf", "hello", "memdump", "memsample", "objgraph", "ping"),
        *("query_task", "registered", "registered_tasks", "report", "reserved", "revoked", "scheduled", "stats"),
    }

    assert control <= set(dir(Control))
    assert inspect <= set(dir(Inspect))
