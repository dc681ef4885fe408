"""What is called when a task has ended: callbacks, errbacks, and the task that takes its place."""

import json
from typing import Any

import pytest

from celery_rs import Celery, Task, errors
from celery_rs.canvas import signature
from celery_rs.execution import Outcome, tell_failure
from tests.apps import NODE, call, drain, envelope_of, make_app, run, work_of
from tests.deadlines import DEADLINE_S


@pytest.fixture
def app() -> Celery:
    return make_app()


@pytest.fixture
def add(app: Celery) -> Task[..., int]:
    @app.task(name="proj.add")
    def add(x: int, y: int = 0) -> int:
        return x + y

    return add


def bodies(outcome: Outcome) -> list[Any]:
    return [json.loads(followup.message.body)[:2] for followup in outcome.followups]


def stored(outcome: Outcome) -> dict[str, Any]:
    assert outcome.record is not None
    meta: dict[str, Any] = json.loads(outcome.record.meta)
    return meta


def test_a_callback_is_sent_with_the_value_first(app: Celery, add: Any) -> None:
    outcome = call(app, add, (2, 3), task_id="id", root_id="root", link=add.s(10).set(queue="low"))

    (followup,) = outcome.followups
    assert outcome.text == "5"
    assert bodies(outcome) == [[[5, 10], {}]]
    assert followup.route.routing_key == "low"
    assert (followup.message.parent_id, followup.message.root_id) == ("id", "root")
    assert stored(outcome)["children"] == [[[followup.message.id, None], None]]


def test_an_immutable_callback_keeps_its_own_arguments(app: Celery, add: Any) -> None:
    assert bodies(call(app, add, (2, 3), link=add.si(1, 1))) == [[[1, 1], {}]]


def test_several_callbacks_are_all_sent_in_order(app: Celery, add: Any) -> None:
    outcome = call(app, add, (2, 3), link=[add.s(1), add.s(y=2)])

    assert bodies(outcome) == [[[5, 1], {}], [[5], {"y": 2}]]
    assert len(stored(outcome)["children"]) == 2


def test_the_same_run_repeated_sends_the_same_messages(app: Celery, add: Any) -> None:
    outgoing = app.compose("proj.add", (2, 3), {}, link=[add.s(1), add.s(2)])

    first, second = run(app, outgoing), run(app, outgoing)

    assert [item.message.id for item in first.followups] == [item.message.id for item in second.followups]
    assert [item.once for item in first.followups] == [item.message.id for item in first.followups]


def test_a_frozen_callback_keeps_its_id(app: Celery, add: Any) -> None:
    callback = add.s(1)
    result = callback.freeze()

    outcome = call(app, add, (2, 3), link=callback)

    assert outcome.followups[0].message.id == result.id


def test_callbacks_have_callbacks(app: Celery, add: Any) -> None:
    second = add.s(10)
    second.link(add.s(100))

    add.apply_async((1, 2), link=second)

    assert [outcome.text for outcome in (*drain(app), *drain(app), *drain(app))] == ["3", "13", "113"]


def test_a_callback_of_nobody_here_is_sent_by_its_name(app: Celery, add: Any) -> None:
    outcome = call(app, add, (2, 3), link={"task": "other.task"})

    assert outcome.followups[0].message.task == "other.task"


def test_a_failure_and_a_retry_call_no_callback(app: Celery, add: Any) -> None:
    @app.task(bind=True, max_retries=1)
    def flaky(self: Any) -> None:
        raise self.retry(exc=KeyError("k"), countdown=1)

    retried = call(app, flaky, link=add.s(1))
    failed = call(app, flaky, link=add.s(1), retries=1)

    (again,) = retried.followups
    assert again.message.task == flaky.name
    assert json.loads(again.message.body)[2]["callbacks"][0]["task"] == "proj.add"
    assert failed.followups == []


def test_a_callback_that_cannot_be_sent_fails_the_task(app: Celery, add: Any) -> None:
    @app.task(ignore_result=True)
    def odd() -> complex:
        return 1j

    outcome = call(app, odd, link=[add.si(1), add.s(1)])

    assert outcome.end == "failure"
    assert "complex is not JSON" in outcome.text
    assert outcome.followups == []


def test_a_result_that_cannot_be_stored_takes_its_callbacks_back(app: Celery, add: Any) -> None:
    @app.task
    def odd() -> complex:
        return 1j

    outcome = call(app, odd, link=add.si(1))

    assert (outcome.end, outcome.followups, stored(outcome)["children"]) == ("failure", [], [])


def test_options_that_cannot_be_sent_fail_the_task(app: Celery, add: Any) -> None:
    outcome = call(app, add, (1,), link=add.s(1).set(countdwn=1))

    assert (outcome.end, outcome.text) == (
        "failure",
        "TypeError(\"unknown option 'countdwn' in a call; did you mean 'countdown'?\")",
    )


def test_an_errback_of_one_argument_is_sent_the_id(app: Celery, add: Any) -> None:
    @app.task
    def fail() -> None:
        raise KeyError("k")

    @app.task
    def old_style(task_id: str) -> None: ...

    outcome = call(app, fail, task_id="id", link_error=[old_style.s(), {"task": "other.task"}])

    assert bodies(outcome) == [[["id"], {}], [["id"], {}]]
    assert [followup.message.parent_id for followup in outcome.followups] == ["id", "id"]
    assert outcome.end == "failure"
    assert stored(outcome)["children"] == []


def test_an_errback_of_three_arguments_is_called_where_the_task_failed(app: Celery) -> None:
    got: list[Any] = []

    @app.task
    def fail() -> None:
        raise KeyError("k")

    @app.task
    def new_style(request: Any, exc: BaseException, traceback: str, more: int) -> None:
        got.append((request.id, exc, traceback.splitlines()[-1], more))

    outcome = call(app, fail, task_id="id", link_error=new_style.s(5))

    ((id, exc, last, more),) = got
    assert (id, repr(exc), last, more) == ("id", "KeyError('k')", "KeyError: 'k'", 5)
    assert outcome.followups == []


def test_a_bound_errback_is_sent_whatever_it_takes(app: Celery) -> None:
    @app.task
    def fail() -> None:
        raise KeyError("k")

    @app.task(bind=True)
    def bound(self: Any, task_id: str, more: int = 0) -> None: ...

    assert bodies(call(app, fail, task_id="id", link_error=bound.s())) == [[["id"], {}]]


def test_an_immutable_errback_gets_nothing(app: Celery) -> None:
    @app.task
    def fail() -> None:
        raise KeyError("k")

    @app.task
    def clean_up() -> None: ...

    assert bodies(call(app, fail, link_error=clean_up.si())) == [[[], {}]]


def test_an_errback_that_fails_is_logged_and_the_others_are_called(
    app: Celery, add: Any, caplog: pytest.LogCaptureFixture
) -> None:
    @app.task
    def fail() -> None:
        raise KeyError("k")

    @app.task(name="proj.bad")
    def bad(request: Any, exc: Any, traceback: Any) -> None:
        raise RuntimeError("no")

    good = signature("other.task", app=app)
    outcome = call(app, fail, task_id="id", link_error=[bad.s(), good.clone(priority="high"), good])

    assert outcome.text == "KeyError('k')"
    assert bodies(outcome) == [[["id"], {}]]
    assert [record.getMessage() for record in caplog.records] == [
        f"the errback proj.bad of task {fail.name}[id] failed",
        f"an errback of task {fail.name}[id] failed",
    ]


def test_errbacks_are_not_called_for_a_success_or_a_retry(app: Celery, add: Any) -> None:
    @app.task(bind=True)
    def again(self: Any) -> None:
        raise self.retry(countdown=1)

    assert call(app, add, (1,), link_error=add.s()).followups == []
    assert [item.message.task for item in call(app, again, link_error=add.s()).followups] == [again.name]


def test_a_message_of_celerys_with_links_runs(app: Celery, add: Any) -> None:
    signature = {
        "task": "proj.add",
        "args": [1],
        "kwargs": {},
        "options": {"task_id": "cb", "reply_to": "r", "root_id": "old", "parent_id": "old"},
        "subtask_type": None,
        "immutable": False,
    }
    raw = json.dumps([[2], {}, {"callbacks": [signature], "errbacks": [], "chain": [], "chord": None}]).encode()

    outcome = run(app, app.compose("proj.add", (), {}, task_id="id"), body=raw)

    (followup,) = outcome.followups
    assert (followup.message.id, followup.message.root_id, followup.message.parent_id) == ("cb", "id", "id")
    assert bodies(outcome) == [[[2, 1], {}]]


@pytest.mark.parametrize(
    ("embed", "complaint"),
    [
        ({"callbacks": ["add"]}, "expected signatures as callbacks, got ['add']"),
        ({"errbacks": {"args": []}}, "expected signatures as errbacks, got {'args': []}"),
        (
            {"callbacks": [{"task": "celery.group", "subtask_type": "group"}]},
            "workflows are not supported yet, and this call carries callbacks: {'task': 'celery.group', ",
        ),
        ({"chain": [{"task": "t"}]}, "workflows are not supported yet, and this call carries chain"),
        ({"chord": {"task": "t"}}, "workflows are not supported yet, and this call carries chord"),
    ],
)
def test_what_cannot_be_called_afterwards_is_not_begun(app: Celery, add: Any, embed: Any, complaint: str) -> None:
    raw = json.dumps([[2], {}, embed]).encode()

    outcome = run(app, app.compose("proj.add", (), {}), body=raw)

    assert outcome.end == "reject"
    assert outcome.text.startswith(complaint)


def test_headers_named_like_links_are_only_headers(app: Celery) -> None:
    @app.task(bind=True)
    def look(self: Any) -> Any:
        return [self.request.callbacks, self.request.is_eager, self.request.headers]

    outcome = call(app, look, headers={"callbacks": ["x"], "is_eager": True})

    assert stored(outcome)["result"] == [None, False, {"callbacks": ["x"], "is_eager": True}]


def test_a_task_may_be_replaced_by_another(app: Celery, add: Any) -> None:
    @app.task(bind=True)
    def choose(self: Any) -> Any:
        return self.replace(add.s(20, 3))

    outcome = call(app, choose, task_id="id", root_id="root", link=add.s(1))

    (followup,) = outcome.followups
    embed = json.loads(followup.message.body)[2]
    assert (outcome.end, outcome.record) == ("ignore", None)
    assert (followup.message.id, followup.message.task, followup.message.root_id) == ("id", "proj.add", "root")
    assert followup.message.replaced_task_nesting == 1
    assert embed["callbacks"][0]["args"] == [1]


def test_a_replaced_tasks_result_is_that_of_the_other(app: Celery, add: Any) -> None:
    @app.task(bind=True)
    def choose(self: Any) -> Any:
        return self.replace(add.s(20, 3))

    result = choose.delay()
    drain(app)
    drain(app)

    assert result.get(timeout=DEADLINE_S) == 23


def test_inline_a_replacement_is_run_at_once(app: Celery, add: Any) -> None:
    @app.task(bind=True)
    def choose(self: Any) -> Any:
        return self.replace(add.s(20, 3))

    assert choose.apply().get() == 23
    with pytest.raises(errors.ImproperlyConfigured, match="replace is for a task that runs in a worker"):
        choose()


def test_a_lost_tasks_failure_is_told_and_its_errbacks_are_sent(app: Celery) -> None:
    told: list[Any] = []

    class Hooked(Task[..., Any]):
        def on_failure(self, exc: BaseException, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
            told.append((repr(exc), task_id, list(args), self.request.hostname))

        def after_return(self, status: str, *_: Any) -> None:
            told.append(status)

    @app.task(base=Hooked)
    def slow(x: int) -> None: ...

    outgoing = app.compose(slow.name, (7,), {}, task_id="id", link_error={"task": "other.task"})
    followups = tell_failure(app, work_of(outgoing), errors.TimeLimitExceeded(3), hostname=NODE)

    assert told == [("TimeLimitExceeded(3)", "id", [7], NODE), "FAILURE"]
    assert [item.message.task for item in followups] == ["other.task"]


def test_telling_of_a_failure_survives_what_the_user_does(app: Celery, caplog: pytest.LogCaptureFixture) -> None:
    class Hooked(Task[..., Any]):
        def on_failure(self, *_: Any) -> None:
            raise SystemExit

    @app.task(base=Hooked, name="proj.slow")
    def slow() -> None: ...

    outgoing = app.compose("proj.slow", (), {}, task_id="id")

    assert tell_failure(app, work_of(outgoing), errors.WorkerLostError("died"), hostname=NODE) == []
    assert tell_failure(app, work_of(outgoing, task="nobody"), errors.WorkerLostError("died"), hostname=NODE) == ()
    assert tell_failure(app, work_of(outgoing, body=b"?"), errors.WorkerLostError("died"), hostname=NODE) == ()
    assert [record.getMessage() for record in caplog.records] == ["on_failure of task proj.slow[id] failed"]


def test_the_envelope_of_a_linked_call_is_whole(add: Any, app: Celery) -> None:
    outgoing = app.compose("proj.add", (1,), {}, link=add.s(2), link_error=[add.si(3)])

    body = json.loads(envelope_of(outgoing).body)

    empty: dict[str, Any] = {"kwargs": {}, "options": {}, "subtask_type": None}
    assert body[2] == {
        "callbacks": [{"task": "proj.add", "args": [2], "immutable": False, **empty}],
        "errbacks": [{"task": "proj.add", "args": [3], "immutable": True, **empty}],
        "chain": None,
        "chord": None,
    }
