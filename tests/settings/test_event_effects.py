"""What the settings of events do."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from celery_rs.errors import OperationalError
from celery_rs.transports import Outgoing
from celery_rs.wire import Exchange, Queue, Unreadable, open_events
from tests.apps import make_app, run
from tests.deadlines import DEADLINE_S
from tests.worker.process import Project, project_in


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    with project_in(tmp_path, monkeypatch) as project:
        yield project


def test_a_worker_sends_events_of_tasks_where_the_setting_says_so(project: Project) -> None:
    with (
        project.app.events.Receiver() as receiver,
        project.worker("-c", "1", "--without-heartbeat", settings={"worker_send_task_events": True}),
    ):
        project.proj.add.delay(1, 1)
        events = list(receiver.itercapture(limit=3, timeout=DEADLINE_S, wakeup=False))

    assert [event["type"] for event in events] == ["task-received", "task-started", "task-succeeded"]


def test_events_go_through_the_exchange_of_the_settings() -> None:
    app = make_app(event_exchange="news")
    subscription = app.transport.subscribe(Exchange("news", "topic", durable=False), "task.#")

    with app.events.Receiver() as receiver, app.events.default_dispatcher() as dispatcher:
        dispatcher.send("task-mine")
        (event,) = receiver.itercapture(limit=1, timeout=DEADLINE_S, wakeup=False)

    (raw,) = subscription.receive(0)
    events = open_events(raw)
    assert not isinstance(events, Unreadable)
    assert (events[0]["type"], event["type"]) == ("task-mine", "task-mine")


def test_monitors_hear_of_calls_where_the_setting_says_so() -> None:
    topic = Exchange("topic", "topic")
    queues = [Queue("celery"), Queue("videos", topic, "video.new")]
    app = make_app(task_send_sent_event=True, task_queues=queues)
    app.transport.declare(queues)

    with app.events.Receiver() as receiver:
        plain = app.send_task("proj.add", (2, 2), {"z": 1}, expires=600)
        app.send_task("proj.show", exchange="topic", routing_key="video.new")
        first, second = receiver.itercapture(limit=2, timeout=DEADLINE_S, wakeup=False)

    assert first["type"] == "task-sent"
    assert first["hostname"].startswith("gen")
    assert {name: first[name] for name in ("uuid", "name", "args", "kwargs", "retries", "root_id", "parent_id")} == {
        "uuid": plain.id,
        "name": "proj.add",
        "args": "(2, 2)",
        "kwargs": "{'z': 1}",
        "retries": 0,
        "root_id": plain.id,
        "parent_id": None,
    }
    assert (first["queue"], first["exchange"], first["routing_key"], first["eta"]) == ("celery", "", "celery", None)
    assert first["expires"] is not None
    assert (second["queue"], second["exchange"], second["routing_key"]) == ("videos", "topic", "video.new")


def test_a_call_inside_a_task_is_told_by_its_worker() -> None:
    app = make_app(task_send_sent_event=True)

    @app.task
    def calling() -> str:
        return app.send_task("proj.add").id

    told: list[Any] = []
    outgoing: Outgoing = app.compose(calling.name, (), {})
    outcome = run(app, outgoing, told.append)

    (said,) = told
    assert said.type == "task-sent"
    assert outcome.text.strip("'") in said.fields.decode()


def test_a_call_is_made_even_if_no_monitor_can_hear_of_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(task_send_sent_event=True)

    def away(*_: object) -> None:
        raise OperationalError("the broker is away")

    monkeypatch.setattr(type(app.transport), "announce", away)
    result = app.send_task("proj.add")

    assert f"no monitor hears that task proj.add[{result.id}] was sent: the broker is away" in caplog.text
    assert app.transport.queues(["celery"])["celery"].ready == 1
