"""`app.events`: hearing events, sending one's own."""

import json
import threading
from typing import Any

import pytest

from celery_rs import Celery
from celery_rs.control import ControlRequest
from celery_rs.errors import ImproperlyConfigured, NotSupported
from celery_rs.wire import event_exchange, exchanges, open_request
from tests.apps import make_app
from tests.deadlines import DEADLINE_S


@pytest.fixture
def app() -> Celery:
    return make_app()


def send(app: Celery, *types: str, **fields: Any) -> None:
    with app.events.default_dispatcher(hostname="w1@h") as dispatcher:
        for name in types:
            dispatcher.send(name, **fields)


def test_each_event_goes_to_the_handler_of_its_type_or_that_of_all(app: Celery) -> None:
    failed: list[Any] = []
    others: list[Any] = []
    with app.events.Receiver(handlers={"task-failed": failed.append, "*": others.append}) as receiver:
        send(app, "task-failed", "task-sent", "worker-online", uuid="id-1")
        receiver.capture(limit=3, timeout=DEADLINE_S, wakeup=False)

    assert [event["uuid"] for event in failed] == ["id-1"]
    assert [event["type"] for event in others] == ["task-sent", "worker-online"]


def test_what_was_sent_carries_who_sent_it_and_when(app: Celery) -> None:
    with app.events.Receiver() as receiver:
        send(app, "task-mine", answer=42)
        (event,) = receiver.itercapture(limit=1, timeout=DEADLINE_S, wakeup=False)

    assert (event["hostname"], event["answer"]) == ("w1@h", 42)
    assert event["timestamp"] <= event["local_received"]


def test_a_capture_ends_with_its_timeout(app: Celery) -> None:
    with app.events.Receiver() as receiver, pytest.raises(TimeoutError, match=r"no event came within 0\.05 seconds"):
        receiver.capture(timeout=0.05)


def test_a_capture_ends_when_it_is_told_to(app: Celery) -> None:
    with app.events.Receiver() as receiver:

        def stop(event: Any) -> None:
            receiver.should_stop = True

        receiver.handlers["*"] = stop
        sender = threading.Timer(0.05, send, [app, "task-sent"])
        sender.start()
        receiver.capture(timeout=DEADLINE_S)
        sender.join()


def test_workers_are_asked_for_a_heartbeat_first(app: Celery) -> None:
    asked = app.transport.subscribe(exchanges("celery")[0], "#")
    with app.events.Receiver() as receiver:
        send(app, "task-sent")
        receiver.capture(limit=1, timeout=DEADLINE_S)

    (raw,) = asked.receive(DEADLINE_S)
    request = open_request(raw)
    assert isinstance(request, ControlRequest)
    assert (request.method, request.reply_to) == ("heartbeat", None)


def test_the_clock_goes_with_the_events_of_workers_and_not_with_those_of_clients(app: Celery) -> None:
    with app.events.Receiver() as receiver:
        dispatcher = app.events.Dispatcher(hostname="w1@h")
        app.clock.value = 600
        dispatcher.send("task-sent")
        app.clock.value = 1
        receiver.capture(limit=1, timeout=DEADLINE_S, wakeup=False)
        assert app.clock.value == 1

        app.clock.value = 600
        dispatcher.send("worker-heartbeat")
        app.clock.value = 1
        receiver.capture(limit=1, timeout=DEADLINE_S, wakeup=False)
        assert app.clock.value == 602


def test_what_is_no_event_is_passed_over(app: Celery) -> None:
    with app.events.Receiver() as receiver:
        app.transport.announce(event_exchange("celeryev"), "task.sent", [b"garbage", b"{}", json.dumps([1]).encode()])
        send(app, "task-sent")
        (event,) = receiver.itercapture(limit=1, timeout=DEADLINE_S, wakeup=False)

    assert event["type"] == "task-sent"


def test_a_dispatcher_that_is_off_or_has_other_groups_sends_nothing(app: Celery) -> None:
    with app.events.Receiver() as receiver:
        app.events.Dispatcher(enabled=False).send("task-sent")
        app.events.Dispatcher(groups=["worker"]).send("task-sent")
        dispatcher = app.events.Dispatcher()
        dispatcher.disable()
        dispatcher.send("task-sent")
        dispatcher.enable()
        dispatcher.send("task-last")
        (event,) = receiver.itercapture(limit=1, timeout=DEADLINE_S, wakeup=False)

    assert event["type"] == "task-last"


def test_a_task_called_outside_a_worker_sends_its_events_itself(app: Celery) -> None:
    @app.task(bind=True)
    def telling(self: Any) -> None:
        self.send_event("task-progress", done=1)

    with app.events.Receiver() as receiver:
        telling()
        (event,) = receiver.itercapture(limit=1, timeout=DEADLINE_S, wakeup=False)

    assert (event["type"], event["uuid"], event["done"]) == ("task-progress", None, 1)


def test_a_monitor_written_for_celery_runs_as_it_is(app: Celery) -> None:
    heard: list[str] = []
    state = app.events.State()

    with app.connection() as connection:
        receiver = app.events.Receiver(connection, handlers={"task-sent": state.event})
        app.events.Dispatcher(connection).send("task-sent", uuid="id-1", name="proj.add")
        receiver.handlers["*"] = lambda event: heard.append(event["type"])
        receiver.capture(limit=1, timeout=DEADLINE_S, wakeup=True)
        receiver.close()

    assert (state.tasks["id-1"].name, heard) == ("proj.add", [])


def test_a_connection_leads_to_its_own_apps_broker(app: Celery) -> None:
    other = make_app()

    with other.events.Receiver() as receiver:
        app.events.Dispatcher(other.connection_for_write()).send("task-sent")
        (event,) = receiver.itercapture(limit=1, timeout=DEADLINE_S, wakeup=False)

    assert event["type"] == "task-sent"


def test_a_connection_can_be_asked_where_it_leads(app: Celery) -> None:
    with app.connection_or_acquire() as connection:
        assert connection.as_uri() == app.transport.describe()
        assert connection.ensure_connection(max_retries=3) is connection
    with app.connection_or_acquire(connection) as same:
        assert same is connection
    assert app.connection_for_read().transport is app.read_transport


def test_connections_of_others_are_refused_by_name(app: Celery) -> None:
    with pytest.raises(NotSupported, match=r"a receiver with a connection like object .*use app\.connection\(\)"):
        app.events.Receiver(object())
    with pytest.raises(NotSupported, match="a dispatcher with a connection like object"):
        app.events.Dispatcher(object()).send("task-sent")


def test_events_of_ones_own_kind_are_a_class_of_the_app() -> None:
    class Wrong(Celery):
        events_cls = "nowhere.to:be_found"

    with pytest.raises(ImproperlyConfigured, match="events_cls"):
        Wrong(broker="memory://", set_as_current=False)
