"""Events of real workers: what monitors hear, and in which order."""

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from celery_rs.events import Receiver
from tests.deadlines import DEADLINE_S, eventually
from tests.worker.process import Project

QUIET = ("-c", "1", "--without-heartbeat")


def until(receiver: Receiver, last: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
    """All events up to that one, which is the last."""
    heard: list[dict[str, Any]] = []
    for event in receiver.itercapture(timeout=DEADLINE_S, wakeup=False):
        heard.append(event)
        if last(event):
            return heard
    raise AssertionError("the capture ended by itself")


def life_of(receiver: Receiver, task_id: str, end: str) -> list[dict[str, Any]]:
    heard = until(receiver, lambda event: event["type"] == end and event.get("uuid") == task_id)
    return [event for event in heard if event.get("uuid") == task_id]


def types(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"].removeprefix("task-") for event in events]


def test_a_worker_tells_of_its_own_life(project: Project) -> None:
    with project.app.events.Receiver() as receiver, project.worker("-c", "1", "--heartbeat-interval", "0.1") as worker:
        until(receiver, lambda event: event["type"] == "worker-heartbeat")
        worker.send_signal(signal.SIGTERM)
        heard = until(receiver, lambda event: event["type"] == "worker-offline")

    offline = heard[-1]
    assert offline["hostname"] == "celery@w1"
    assert (offline["pid"], offline["freq"], offline["sw_ident"]) == (worker.pid, 0.1, "celery-rs")
    assert {event["type"] for event in heard} <= {"worker-heartbeat", "worker-offline"}


def test_a_task_is_told_of_from_its_arrival_to_its_success(project: Project) -> None:
    with project.app.events.Receiver() as receiver, project.worker("-E", *QUIET) as worker:
        result = project.proj.add.delay(2, 2)
        received, started, succeeded = life_of(receiver, result.id, "task-succeeded")

    assert types([received, started, succeeded]) == ["received", "started", "succeeded"]
    assert {name: received[name] for name in ("name", "args", "kwargs", "retries", "eta", "expires")} == {
        "name": "tests.worker.proj.add",
        "args": "(2, 2)",
        "kwargs": "{}",
        "retries": 0,
        "eta": None,
        "expires": None,
    }
    assert (received["root_id"], received["parent_id"], received["pid"]) == (result.id, None, worker.pid)
    assert succeeded["result"] == "4"
    assert received["timestamp"] <= started["timestamp"] <= succeeded["timestamp"]
    assert succeeded["runtime"] <= succeeded["timestamp"] - received["timestamp"]
    assert received["clock"] < started["clock"] < succeeded["clock"]


def test_a_time_beyond_the_calendar_is_told_as_its_end(project: Project) -> None:
    beyond = "9999-12-31T23:59:59-12:00"  # in UTC that is the year 10000
    with project.app.events.Receiver() as receiver, project.worker("-E", *QUIET):
        result = project.proj.add.apply_async((2, 2), expires=beyond)
        received, *_ = life_of(receiver, result.id, "task-succeeded")

    assert received["expires"].startswith("9999-12-3")


def test_a_task_that_lasts_is_told_of_when_it_starts(project: Project) -> None:
    with project.app.events.Receiver() as receiver, project.worker("-E", *QUIET):
        result = project.proj.hold.delay("long")
        assert types(life_of(receiver, result.id, "task-started")) == ["received", "started"]
        project.let_go("long")
        assert types(life_of(receiver, result.id, "task-succeeded")) == ["succeeded"]


def test_failures_and_retries_are_told_with_their_errors(project: Project) -> None:
    with project.app.events.Receiver() as receiver, project.worker("-E", *QUIET):
        fails = life_of(receiver, project.proj.fails.delay().id, "task-failed")
        again = life_of(receiver, project.proj.unlucky.delay().id, "task-failed")

    assert types(fails) == ["received", "started", "failed"]
    assert fails[-1]["exception"] == "ValueError('boom', 1)"
    assert fails[-1]["traceback"].endswith("ValueError: ('boom', 1)\n")
    assert types(again) == ["received", "started", "retried", "received", "started", "failed"]
    assert again[2]["exception"] == "ConnectionError('no luck')"
    assert (again[3]["retries"], again[-1]["exception"]) == (1, "ConnectionError('no luck')")


@pytest.mark.parametrize(
    ("task", "exception"), [("dies", "WorkerLostError('the process"), ("hardly", "TimeLimitExceeded(0.2)")]
)
def test_a_run_that_is_killed_is_told_of_once(project: Project, task: str, exception: str) -> None:
    with project.app.events.Receiver() as receiver, project.worker("-E", *QUIET):
        killed = life_of(receiver, project.proj.app.tasks[f"tests.worker.proj.{task}"].delay().id, "task-failed")
        after = life_of(receiver, project.proj.add.delay(1, 1).id, "task-succeeded")

    assert types(killed) == ["received", "started", "failed"]
    assert killed[-1]["exception"].startswith(exception)
    assert types(after) == ["received", "started", "succeeded"]


def test_what_a_task_refuses_is_told_as_rejected(project: Project) -> None:
    with project.app.events.Receiver() as receiver, project.worker("-E", *QUIET):
        (*_, rejected) = life_of(receiver, project.proj.rejected.delay().id, "task-rejected")

    assert rejected["requeue"] is False


def test_revokes_are_told_with_what_ended_the_task(project: Project) -> None:
    with project.app.events.Receiver() as receiver, project.worker("-E", *QUIET):
        expired = project.proj.add.apply_async((1, 1), expires=-1)
        (*_, one) = life_of(receiver, expired.id, "task-revoked")
        held = project.proj.hold.delay("held")
        project.saw("held.started")
        held.revoke(terminate=True, signal="SIGKILL")
        (*_, other) = life_of(receiver, held.id, "task-revoked")

    assert (one["terminated"], one["signum"], one["expired"]) == (False, None, True)
    assert (other["terminated"], other["signum"], other["expired"]) == (True, 9, False)


def test_a_message_of_an_unknown_task_is_told_as_failed(project: Project) -> None:
    with project.app.events.Receiver() as receiver, project.worker("-E", *QUIET):
        (failed,) = life_of(receiver, project.app.send_task("proj.nobody").id, "task-failed")

    assert "'proj.nobody' is not registered" in failed["exception"]
    assert failed["traceback"] is None


@pytest.mark.parametrize("pool", ["prefork", "solo"])
def test_a_task_sends_events_of_its_own_through_its_worker(project: Project, pool: str) -> None:
    with project.app.events.Receiver() as receiver, project.worker("-P", pool, *QUIET) as worker:
        result = project.proj.telling.delay(3)
        progress = life_of(receiver, result.id, "task-progress")
        assert result.get(timeout=DEADLINE_S) == 3

    (event,) = progress
    assert (event["done"], event["hostname"]) == (3, "celery@w1")
    assert (event["pid"] == worker.pid) is (pool == "solo")


def test_events_of_tasks_are_switched_on_and_off_by_command(project: Project) -> None:
    def said(command: str) -> Any:
        (answer,) = project.app.control.broadcast(command, reply=True, limit=1, timeout=DEADLINE_S) or [{}]
        (reply,) = answer.values()
        return reply

    with project.app.events.Receiver() as receiver, project.worker(*QUIET):
        project.proj.add.delay(1, 1).get(timeout=DEADLINE_S)
        assert said("enable_events") == {"ok": "task events enabled"}
        second = project.proj.add.delay(1, 2)
        heard = until(receiver, lambda event: event["type"] == "task-succeeded")
        assert {event.get("uuid") for event in heard} == {second.id}

        assert said("disable_events") == {"ok": "task events disabled"}
        project.proj.add.delay(1, 3).get(timeout=DEADLINE_S)
        assert said("heartbeat") is None
        assert types(until(receiver, lambda event: True)) == ["worker-heartbeat"]


def test_monitors_that_nobody_is_cost_no_row(project: Project) -> None:
    """Without a subscription the embedded broker writes nothing."""
    with project.worker("-E", "-c", "1", "--heartbeat-interval", "0.05"):
        project.proj.add.delay(1, 1).get(timeout=DEADLINE_S)
        eventually(lambda: project.app.transport.queues(["celery"])["celery"].ready == 0)

        assert project.app.transport.database.read("SELECT count(*) FROM broadcasts") == [(0,)]
    assert os.path.exists(project.folder / "proj.sqlite3")
