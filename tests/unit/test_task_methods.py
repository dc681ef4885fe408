"""What a task can do besides running: requests, retries, names, annotations, and Celery's hooks for frameworks."""

import json
import os
from typing import Any

import pytest

from celery_rs import Celery, Task, errors
from celery_rs.execution import Request
from tests.apps import call, drain, make_app, run


@pytest.fixture
def app() -> Celery:
    return make_app()


def bodies(outcome: Any) -> list[Any]:
    return [json.loads(followup.message.body)[:2] for followup in outcome.followups]


# calls


def test_links_and_an_id_are_arguments_of_apply_async(app: Celery) -> None:
    @app.task(name="proj.add")
    def add(x: int, y: int) -> int:
        return x + y

    result = add.apply_async((1, 2), {}, "mine", None, add.s(10))

    assert result.id == "mine"
    assert [outcome.text for outcome in (*drain(app), *drain(app))] == ["3", "13"]


def test_a_link_that_is_no_signature_is_refused_at_the_call(app: Celery) -> None:
    @app.task
    def add() -> None: ...

    with pytest.raises(TypeError, match="link_error must be a signature such as"):
        add.apply_async(link_error=add)
    with pytest.raises(errors.NotSupported, match="the option 'producer' is not supported here"):
        add.apply_async(producer=object())


def test_a_task_may_name_its_calls(app: Celery) -> None:
    @app.task(shadow_name=lambda self, args, kwargs, options: f"{self.name}({args[0]}) {options.get('queue')}")
    def add(x: int) -> None: ...

    seen = []

    class Named(Task[..., Any]):
        def shadow_name(self, args: Any, kwargs: Any, options: Any) -> str:
            seen.append((list(args), kwargs))
            return "from the class"

    @app.task(base=Named, bind=True)
    def look(self: Any, x: int) -> str:
        return str(self.request.shadow)

    add.apply_async((3,), queue="low")
    look.delay(x=1)
    look.apply_async((1,), shadow="from the call")
    consumer = app.transport.consume(["low"])
    (delivery,) = consumer.receive(1, 0).deliveries

    assert getattr(delivery.envelope, "shadow", None) == f"{add.name}(3) low"
    assert [outcome.text for outcome in drain(app)] == ["'from the class'", "'from the call'"]
    assert seen == [([], {"x": 1})]


@pytest.mark.parametrize("option", ["timeout", "confirm_timeout"])
def test_an_attempt_to_publish_takes_no_longer_than_it_is_given(app: Celery, option: str) -> None:
    deadlines = []

    class Slow:
        def publish(self, batch: Any, *, wait: str, deadline: float = 5.0) -> None:
            deadlines.append((wait, deadline))

        def flush(self, deadline: float) -> int:
            return 0

    app._transport = Slow()  # type: ignore[assignment]  # looks at what it is told

    app.send_task("proj.add", **{option: 2.5}, mandatory=True, immediate=False)  # type: ignore[arg-type]  # two kinds

    assert deadlines == [("stored", 2.5)]


# the request


def test_requests_can_be_pushed_for_tests_of_tasks(app: Celery) -> None:
    @app.task(bind=True)
    def look(self: Any) -> Any:
        return self.request.id

    look.push_request(id="pushed", called_directly=False, retries=2)
    try:
        assert (look.request.id, look.request.retries, look.request.task) == ("pushed", 2, look.name)
        assert look.request_stack.top is look.request
        assert len(look.request_stack) == 1
    finally:
        assert look.pop_request().id == "pushed"
    assert look.request.id is None
    assert look.pop_request() is None


def test_a_task_sees_its_own_request_and_not_anothers(app: Celery) -> None:
    @app.task(name="proj.other")
    def other() -> None: ...

    @app.task(bind=True)
    def look(self: Any) -> Any:
        return [self.request.id, other.request.id, other.request.called_directly]

    assert call(app, look, task_id="id").text == "['id', None, True]"


def test_the_request_has_what_the_message_has_and_celerys_defaults(app: Celery) -> None:
    @app.task(bind=True)
    def look(self: Any) -> Any:
        request = self.request
        return [
            request.correlation_id,
            request.headers,
            request.time_limit,
            request.soft_time_limit,
            request.logfile,
            request.loglevel,
            request.get("nothing", 3),
            request.is_eager,
            request.called_directly,
        ]

    outcome = call(app, look, task_id="id", headers={"mine": 1}, time_limit=9, soft_time_limit=8)

    assert outcome.text == "['id', {'mine': 1}, 9, 8, None, None, 3, False, False]"


def test_a_request_is_as_it_is_made() -> None:
    request = Request(delivery_info={"routing_key": "q"}, headers={"a": 1}, reply_to="me", correlation_id="c")

    assert (request.delivery_info, request.headers) == ({"routing_key": "q"}, {"a": 1})
    assert (request.reply_to, request.correlation_id) == ("me", "c")
    assert request.as_execution_options()["queue"] == "q"


def test_children_are_handles_and_may_be_added(app: Celery) -> None:
    @app.task(bind=True)
    def parent(self: Any) -> None:
        app.send_task("proj.child", task_id="sent")
        app.send_task("proj.child", task_id="hidden", add_to_parent=False)
        self.add_trail(app.AsyncResult("added"))
        assert [child.id for child in self.request.children] == ["sent", "added"]

    @app.task(bind=True, trail=False)
    def silent(self: Any) -> None:
        self.add_trail(app.AsyncResult("added"))

    outcome = call(app, parent)

    assert outcome.end == "success"
    assert outcome.record is not None
    assert [child[0][0] for child in json.loads(outcome.record.meta)["children"]] == ["sent", "added"]
    assert json.loads(getattr(call(app, silent).record, "meta", b"{}"))["children"] == []


# retries


def test_a_retrys_signature_is_the_call_to_come(app: Celery) -> None:
    @app.task(bind=True)
    def again(self: Any, x: int) -> None:
        raise self.retry(countdown=7, queue="later", priority=3)

    outcome = call(app, again, (1,), task_id="id", headers={"mine": 1}, time_limit=9)

    (followup,) = outcome.followups
    assert (followup.message.id, followup.message.retries, followup.message.priority) == ("id", 1, 3)
    assert (followup.route.routing_key, followup.message.hard_limit) == ("later", 9)
    assert json.loads(followup.message.headers) == {"mine": 1}


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"args": (9,)}, [[9], {"y": 2}]),
        ({"args": (9, 8)}, [[9, 8], {}]),
        ({"kwargs": {"y": 5}}, [[1], {"y": 5}]),
        ({"kwargs": {"x": 5}}, [[5], {}]),
        ({"args": (9,), "kwargs": {}}, [[9], {}]),
        ({}, [[1], {"y": 2}]),
    ],
)
def test_a_retry_keeps_the_other_half_where_it_does_not_clash(app: Celery, given: Any, sent: Any) -> None:
    @app.task(bind=True)
    def again(self: Any, x: int, y: int = 0) -> None:
        raise self.retry(countdown=1, **given)

    assert bodies(call(app, again, (1,), {"y": 2})) == [sent]


def test_autoretry_obeys_what_retry_said_in_the_same_run(app: Celery) -> None:
    @app.task(bind=True, autoretry_for=(KeyError,), max_retries=1)
    def again(self: Any) -> None:
        self.retry(exc=KeyError("k"), max_retries=5)

    assert call(app, again, retries=4).end == "retry"
    assert call(app, again, retries=5).end == "failure"

    @app.task(autoretry_for=(KeyError,), max_retries=1)
    def plain() -> None:
        raise KeyError("k")

    assert call(app, plain, retries=1).end == "failure"


def test_autoretry_also_takes_a_reject(app: Celery) -> None:
    @app.task(autoretry_for=(Exception,))
    def reject() -> None:
        raise errors.Reject("no")

    @app.task(autoretry_for=(Exception,))
    def ignore() -> None:
        raise errors.Ignore

    assert call(app, reject).end == "retry"
    assert call(app, ignore).end == "ignore"


def test_spent_retries_say_what_the_call_was(app: Celery) -> None:
    caught: list[Any] = []

    @app.task(bind=True, max_retries=0)
    def again(self: Any, x: int, y: int) -> None:
        try:
            self.retry()
        except self.MaxRetriesExceededError as error:
            caught.append(error)
            raise

    outcome = call(app, again, (1,), {"y": 2}, task_id="id")

    assert outcome.text == f"MaxRetriesExceededError(\"Can't retry {again.name}[id] args:(1,) kwargs:{{'y': 2}}\")"
    assert (caught[0].task_args, caught[0].task_kwargs) == ((1,), {"y": 2})


def test_a_retry_that_is_not_thrown_is_returned(app: Celery) -> None:
    @app.task(bind=True)
    def again(self: Any) -> str:
        retry = self.retry(throw=False, countdown=3)
        return f"{retry.sig.task} {retry.when}"

    outcome = call(app, again)

    assert (outcome.end, outcome.text) == ("success", f"'{again.name} 3'")
    assert len(outcome.followups) == 1


def test_a_request_becomes_a_signature(app: Celery) -> None:
    @app.task
    def add(x: int) -> None: ...

    request = Request(id="id", task=add.name, args=[1], kwargs={}, retries=2, delivery_info={"routing_key": "q"})

    sig = add.signature_from_request(request, queue="other", countdown=4)

    assert (sig.args, sig.options["task_id"], sig.options["retries"]) == ((1,), "id", 2)
    assert (sig.options["queue"], sig.options["countdown"]) == ("other", 4)


# what frameworks touch


def test_a_method_can_be_wrapped(app: Celery) -> None:
    @app.task
    def add(x: int) -> int:
        return x

    def around(method: Any) -> Any:
        return lambda *args, **kwargs: method(*args, **kwargs) * 10

    add.add_around("run", around)

    assert add(3) == 30


def test_being_bound_is_told_once(app: Celery) -> None:
    bound = []

    class Telling(Task[..., Any]):
        def on_bound(self, app: Celery) -> None:
            bound.append(app)

    @app.task(base=Telling)
    def add() -> None: ...

    add.delay()
    app.conf.task_default_queue = "other"
    add.delay()

    assert bound == [app]


def test_a_class_may_take_more_from_the_settings() -> None:
    app = make_app(task_default_queue="q")

    class Mine(Task[..., Any]):
        from_config = (*Task.from_config, ("home", "task_default_queue"))
        home: Any = None

    @app.task(base=Mine)
    def add() -> None: ...

    assert add.home == "q"  # type: ignore[attr-defined]  # of the class it is based on


def test_an_event_of_a_task_goes_with_those_of_its_worker(app: Celery) -> None:
    @app.task(bind=True)
    def telling(self: Any) -> None:
        self.send_event("task-progress", done=1)

    told: list[Any] = []
    outgoing = app.compose(telling.name, (), {})
    run(app, outgoing, told.append)

    (said,) = told
    assert (said.type, said.pid) == ("task-progress", os.getpid())
    assert json.loads(said.fields) == {"uuid": outgoing.message.id, "done": 1}


def test_an_event_that_cannot_travel_is_an_error_where_it_is_sent(app: Celery) -> None:
    @app.task(bind=True)
    def telling(self: Any) -> None:
        self.send_event("task-progress", done=object())

    assert "the fields of the event 'task-progress'" in call(app, telling).text


@pytest.mark.parametrize(
    ("option", "value", "complaint"),
    [
        ("Strategy", "proj:strategy", "Strategy of its own is not supported here; use the signals task_received"),
        ("backend", object(), "a result backend of its own is not supported here; set result_backend of the app"),
    ],
)
def test_what_a_task_cannot_have_of_its_own_is_refused_by_name(
    app: Celery, option: str, value: Any, complaint: str
) -> None:
    with pytest.raises(errors.NotSupported, match=complaint):

        @app.task(**{option: value})
        def add() -> None: ...


def test_an_handle_of_a_tasks_result_knows_its_name(app: Celery) -> None:
    @app.task(name="proj.add")
    def add() -> None: ...

    assert add.AsyncResult("id").name == "proj.add"


def test_a_task_says_by_itself_whether_a_lost_run_is_retried(app: Celery) -> None:
    @app.task(retry_on_worker_lost=True)
    def add() -> None: ...

    assert add.retry_on_worker_lost
