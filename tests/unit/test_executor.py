"""One run, from the message to what became of it."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_rs import Celery, Task, errors
from celery_rs.execution import Outcome, failure_record, in_user_code
from celery_rs.wire import TaskResult, decode_failure
from tests.apps import NODE, call, envelope_of, make_app, run


@pytest.fixture
def app() -> Celery:
    return make_app()


def stored(outcome: Outcome) -> dict[str, Any]:
    assert outcome.record is not None
    meta = json.loads(outcome.record.meta)
    assert isinstance(meta, dict)
    return meta


def body(app: Celery, raw: bytes, **changes: Any) -> Outcome:
    """Run a call of an echoing task whose body is `raw`."""

    @app.task(name="proj.echo")
    def echo(*args: Any, **kwargs: Any) -> Any:
        return [args, kwargs]

    return run(app, app.compose("proj.echo", (), {}), body=raw, **changes)


def test_a_return_value_is_a_success(app: Celery) -> None:
    @app.task
    def add(x: int, y: int) -> int:
        return x + y

    outcome = call(app, add, (2,), {"y": 3}, task_id="id")

    assert (outcome.end, outcome.state, outcome.text, outcome.tag) == ("success", "SUCCESS", "5", "tag")
    assert outcome.runtime >= 0
    assert outcome.record is not None
    assert (outcome.record.task_id, outcome.record.state, outcome.record.attempt) == ("id", "SUCCESS", 0)
    assert (stored(outcome)["result"], stored(outcome)["children"]) == (5, [])
    assert outcome.followups == []


def test_an_exception_is_a_failure_with_the_users_traceback(app: Celery) -> None:
    @app.task
    def fail() -> None:
        raise ValueError("boom", 1)

    outcome = call(app, fail)

    assert (outcome.end, outcome.state, outcome.text) == ("failure", "FAILURE", "ValueError('boom', 1)")
    assert stored(outcome)["result"] == {"exc_type": "ValueError", "exc_message": ["boom", 1], "exc_module": "builtins"}
    assert outcome.traceback == stored(outcome)["traceback"]
    assert outcome.traceback is not None
    assert outcome.traceback.startswith("Traceback (most recent call last):\n")
    assert outcome.traceback.endswith("ValueError: ('boom', 1)\n")
    assert "celery_rs" not in outcome.traceback
    assert not outcome.expected


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), errors.SoftTimeLimitExceeded()])
def test_whatever_a_task_raises_is_its_own_failure(app: Celery, error: BaseException) -> None:
    @app.task
    def fail() -> None:
        raise error

    assert call(app, fail).end == "failure"


def test_an_error_that_the_task_throws_is_expected(app: Celery) -> None:
    @app.task(throws=(KeyError,))
    def fail() -> None:
        raise KeyError("k")

    assert call(app, fail).expected


def test_wrong_arguments_are_a_failure(app: Celery) -> None:
    @app.task
    def add(x: int, y: int) -> int:
        return x + y

    outcome = call(app, add, (1,))

    assert outcome.end == "failure"
    assert isinstance(decode_failure(stored(outcome)["result"]), TypeError)


def test_a_result_that_cannot_be_stored_is_a_failure(app: Celery) -> None:
    @app.task
    def task() -> Any:
        return [1j]

    outcome = call(app, task)

    assert outcome.end == "failure"
    assert outcome.text == "EncodeError('result[0]: complex is not JSON')"


@pytest.mark.parametrize(
    ("of_task", "of_call", "kept"),
    [(False, None, True), (True, None, False), (False, True, False), (True, False, True)],
)
def test_the_call_decides_before_the_task_whether_a_result_is_kept(
    app: Celery, of_task: bool, of_call: bool | None, kept: bool
) -> None:
    @app.task(ignore_result=of_task)
    def task() -> int:
        return 1

    assert (call(app, task, ignore_result=of_call).record is not None) == kept


@pytest.mark.parametrize("store_errors", [False, True])
def test_failures_of_ignored_results_are_kept_only_where_asked(app: Celery, store_errors: bool) -> None:
    @app.task(ignore_result=True, store_errors_even_if_ignored=store_errors)
    def fail() -> None:
        raise ValueError

    assert (call(app, fail).record is not None) == store_errors


def test_ignore_stores_nothing(app: Celery) -> None:
    @app.task
    def task() -> None:
        raise errors.Ignore

    outcome = call(app, task)

    assert (outcome.end, outcome.state, outcome.record) == ("ignore", "IGNORED", None)


def test_reject_is_a_stored_failure_and_requeue_is_not(app: Celery) -> None:
    @app.task
    def task(requeue: bool) -> None:
        raise errors.Reject("no thanks", requeue=requeue)

    rejected, requeued = call(app, task, (False,)), call(app, task, (True,))

    assert (rejected.end, rejected.text) == ("reject", "reject requeue=False: no thanks")
    assert stored(rejected)["status"] == "FAILURE"
    assert stored(rejected)["result"]["exc_message"] == ["no thanks", False]
    assert (requeued.end, requeued.record) == ("requeue", None)


def test_what_no_encoding_can_carry_is_escaped_in_the_text(app: Celery) -> None:
    @app.task
    def task() -> None:
        raise errors.Reject("\ud800")

    assert call(app, task).text == "reject requeue=False: \\ud800"


# retries


def test_retry_sends_the_same_call_again_later(app: Celery) -> None:
    @app.task(bind=True)
    def flaky(self: Any, x: str, k: int = 0) -> None:
        try:
            raise KeyError(x)
        except KeyError as error:
            raise self.retry(exc=error, countdown=60) from error

    outcome = call(
        app, flaky, ("a",), {"k": 1}, task_id="id", root_id="root", group_id="g", group_index=2, priority=3,
        headers={"mine": 1}, time_limit=30, queue="special", shadow="s", reply_to="me", expires=600,
    )  # fmt: skip

    assert (outcome.end, outcome.state, outcome.text) == ("retry", "RETRY", "Retry in 60s: KeyError('a')")
    assert outcome.record is not None
    assert (outcome.record.state, outcome.record.attempt) == ("RETRY", 0)
    assert stored(outcome)["result"]["exc_type"] == "KeyError"
    assert "KeyError: 'a'" in (outcome.traceback or "")
    (again,) = outcome.followups
    envelope = envelope_of(again)
    headers = json.loads(envelope.headers)
    assert (envelope.id, envelope.retries, envelope.parent_id, envelope.root_id) == ("id", 1, "id", "root")
    assert (envelope.group, headers["group_index"], envelope.priority, headers["mine"]) == ("g", 2, 3, 1)
    assert (envelope.hard_limit, envelope.shadow, envelope.reply_to) == (30, "s", "me")
    assert (again.route.routing_key, again.not_before is not None, again.expires is not None) == ("special", True, True)
    assert (headers["argsrepr"], headers["kwargsrepr"]) == ("('a',)", "{'k': 1}")
    assert json.loads(envelope.body)[:2] == [["a"], {"k": 1}]


def test_the_same_run_repeated_sends_a_retry_of_the_same_identity(app: Celery) -> None:
    @app.task(bind=True)
    def flaky(self: Any) -> None:
        raise self.retry()

    first, again = call(app, flaky, task_id="id"), call(app, flaky, task_id="id")
    later = call(app, flaky, task_id="id", retries=1)

    once = [outcome.followups[0].once for outcome in (first, again, later)]
    assert once[0] == once[1] != once[2]


def test_a_retry_does_not_carry_the_brokers_marks_on(app: Celery) -> None:
    @app.task(bind=True)
    def flaky(self: Any) -> None:
        raise self.retry()

    outcome = call(app, flaky, headers={"x-death": [], "redelivered": True, "x-first-death-queue": "q", "mine": 1})

    headers = json.loads(envelope_of(outcome.followups[0]).headers)
    assert headers["mine"] == 1
    assert not {"x-death", "redelivered", "x-first-death-queue"} & headers.keys()


def test_spent_retries_raise_the_error_or_say_that_they_are_spent(app: Celery) -> None:
    @app.task(bind=True, max_retries=2)
    def with_error(self: Any) -> None:
        raise self.retry(exc=KeyError("k"))

    @app.task(bind=True, max_retries=2)
    def without(self: Any) -> None:
        raise self.retry()

    assert call(app, with_error, retries=1).end == "retry"
    assert call(app, with_error, retries=2).text == "KeyError('k')"
    spent = call(app, without, retries=2, task_id="id")
    assert (spent.end, spent.followups) == ("failure", [])
    assert isinstance(decode_failure(stored(spent)["result"]), errors.MaxRetriesExceededError)


@pytest.mark.parametrize("option", [{"priority": "high"}, {"priority": 2**70}, {"queue": "\udc80"}])
def test_a_retry_that_cannot_travel_is_the_runs_own_failure(app: Celery, option: dict[str, Any]) -> None:
    @app.task(bind=True)
    def flaky(self: Any) -> None:
        raise self.retry(**option)

    outcome = call(app, flaky)

    assert (outcome.end, outcome.followups) == ("failure", [])


def test_a_retry_that_is_not_raised_is_still_sent(app: Celery) -> None:
    @app.task(bind=True)
    def task(self: Any) -> str:
        self.retry(throw=False)
        return "went on"

    outcome = call(app, task)

    assert (outcome.end, outcome.text, len(outcome.followups)) == ("success", "'went on'", 1)


def test_autoretry_retries_its_errors_with_backoff_until_they_are_spent(app: Celery) -> None:
    @app.task(
        autoretry_for=(LookupError,),
        dont_autoretry_for=(IndexError,),
        retry_backoff=3,
        retry_jitter=False,
        max_retries=3,
    )
    def flaky(kind: str) -> None:
        raise {"key": KeyError, "index": IndexError, "value": ValueError}[kind]("x")

    texts = [call(app, flaky, ("key",), retries=n).text for n in range(4)]

    assert texts == [*(f"Retry in {delay}s: KeyError('x')" for delay in (3, 6, 12)), "KeyError('x')"]
    assert call(app, flaky, ("index",)).end == "failure"
    assert call(app, flaky, ("value",)).end == "failure"


def test_autoretry_passes_its_options_to_retry(app: Celery) -> None:
    @app.task(autoretry_for=(KeyError,), retry_kwargs={"countdown": 7, "max_retries": 1})
    def flaky() -> None:
        raise KeyError("x")

    assert call(app, flaky).text == "Retry in 7s: KeyError('x')"
    assert call(app, flaky, retries=1).end == "failure"


def test_the_last_failure_shows_the_users_frames_only(app: Celery) -> None:
    @app.task(autoretry_for=(KeyError,), max_retries=0)
    def flaky() -> None:
        raise KeyError("x")

    traceback = call(app, flaky).traceback

    assert traceback is not None
    assert "celery_rs" not in traceback


# what a task sees and says


def test_a_task_sees_its_message(app: Celery) -> None:
    seen: dict[str, Any] = {}

    @app.task(bind=True)
    def look(self: Any, x: int, k: int = 0) -> None:
        names = "id root_id parent_id retries group args kwargs hostname headers delivery_info reply_to correlation_id"
        seen.update({name: getattr(self.request, name) for name in names.split()})
        seen["x_custom"] = self.request.x_custom
        seen["direct"] = self.request.called_directly

    call(app, look, (1,), {"k": 2}, task_id="id", headers={"x_custom": "v"}, priority=3, reply_to="me")

    assert seen == {
        "id": "id",
        "root_id": "id",
        "parent_id": None,
        "retries": 0,
        "group": None,
        "args": [1],
        "kwargs": {"k": 2},
        "hostname": NODE,
        "headers": {"x_custom": "v"},
        "delivery_info": {"exchange": "", "routing_key": "celery", "priority": 3, "redelivered": False},
        "reply_to": "me",
        "correlation_id": "id",
        "x_custom": "v",
        "direct": False,
    }


def test_headers_that_are_named_like_the_requests_own_do_no_harm(app: Celery) -> None:
    @app.task(bind=True)
    def look(self: Any, x: int) -> Any:
        return [self.request.args, self.request.get("id"), self.request.headers["get"]]

    outcome = call(app, look, (1,), task_id="id", headers={"args": 5, "get": 6, "tell": 7, "children": 8, "_tell": 9})

    assert outcome.text == "[[1], 'id', 6]"


def test_all_attributes_of_a_request_show_its_headers_too(app: Celery) -> None:
    seen: dict[str, Any] = {}

    @app.task(bind=True)
    def look(self: Any) -> None:
        self.request.mine = "set"
        seen.update(vars(self.request))

    call(app, look, task_id="id", group_id="g", group_index=2, headers={"mine": "sent", "yours": 1})

    assert (seen["mine"], seen["yours"], seen["id"], seen["group_index"]) == ("set", 1, "id", 2)


def test_a_request_has_what_its_message_leaves_open_but_nothing_else(app: Celery) -> None:
    @app.task(bind=True)
    def look(self: Any) -> Any:
        return [self.request.logfile, self.request.chord, hasattr(self.request, "absent")]

    assert call(app, look).text == "[None, None, False]"


def test_settings_that_change_hold_for_the_next_run(app: Celery) -> None:
    @app.task
    def add(x: int) -> int:
        return x

    before, app.conf.result_extended = call(app, add, (1,)), True

    assert "args" not in stored(before)
    assert stored(call(app, add, (1,)))["args"] == [1]


def test_states_of_the_users_own_are_told_at_once(app: Celery) -> None:
    told: list[TaskResult] = []

    @app.task(bind=True)
    def task(self: Any) -> None:
        self.update_state(state="PROGRESS", meta={"done": 1})
        assert len(told) == 1

    run(app, app.compose(task.name, (), {}, retries=2), told.append)

    assert (told[0].state, told[0].attempt) == ("PROGRESS", 2)
    assert json.loads(told[0].meta)["result"] == {"done": 1}


def test_started_is_told_where_it_is_tracked(app: Celery) -> None:
    told: list[TaskResult] = []

    @app.task(track_started=True)
    def tracked() -> None: ...

    run(app, app.compose(tracked.name, (), {}), told.append)
    run(app, app.compose(tracked.name, (), {}, ignore_result=True), told.append)

    assert [record.state for record in told] == ["STARTED"]
    assert json.loads(told[0].meta)["result"] == {"pid": os.getpid(), "hostname": NODE}


def test_extended_results_say_more() -> None:
    app = make_app(result_extended=True)

    @app.task
    def add(x: int, k: int) -> int:
        return x + k

    meta = stored(call(app, add, (1,), {"k": 2}, task_id="id", parent_id="p"))

    assert list(meta)[5:] == ["parent_id", "name", "args", "kwargs", "worker", "retries", "queue", "task_id"]
    assert (meta["name"], meta["args"], meta["worker"], meta["queue"]) == (add.name, [1], NODE, "celery")


@pytest.mark.parametrize("where", ["x", 5, [], None, {"exchange": 5}, {"__type__": "uuid", "__value__": "no uuid"}])
def test_extended_results_need_no_properties(where: object) -> None:
    app = make_app(result_extended=True, task_track_started=True)

    @app.task
    def add(x: int, k: int) -> int:
        return x + k

    properties = json.dumps({"delivery_info": where}).encode()
    outcome = run(app, app.compose(add.name, (1, 2), {}), properties=properties)

    assert (stored(outcome)["result"], stored(outcome)["queue"]) == (3, None)


@pytest.mark.parametrize("state", ["SUCCESS", "FAILURE", "RETRY"])
def test_a_task_that_spoils_its_arguments_ends_all_the_same(state: str) -> None:
    app = make_app(result_extended=True)

    @app.task(bind=True)
    def spoil(self: Any, items: list[Any]) -> None:
        items.append(object())
        if state == "FAILURE":
            raise ValueError("boom")
        if state == "RETRY":
            raise self.retry(args=[[]], countdown=1)

    meta = stored(call(app, spoil, ([],)))

    assert (meta["status"], meta["args"], meta["kwargs"]) == (state, "([],)", "{}")


class Hooked(Task):
    """Notes which hooks were called with what."""

    notes: list[Any]

    def before_start(self, *args: Any) -> None:
        self.notes.append(("before", args))

    def on_success(self, *args: Any) -> None:
        self.notes.append(("success", args))
        raise RuntimeError("a hook that fails")

    def on_failure(self, *args: Any) -> None:
        self.notes.append(("failure", (*args[:-1], str(args[-1])[:9])))

    def on_retry(self, *args: Any) -> None:
        self.notes.append(("retry", args[:-1]))

    def after_return(self, *args: Any) -> None:
        self.notes.append(("after", args[:-1]))


def test_hooks_are_called_in_order_and_cannot_change_the_end(app: Celery, caplog: pytest.LogCaptureFixture) -> None:
    notes: list[Any] = []
    error = KeyError("k")

    @app.task(base=Hooked, bind=True, notes=notes)
    def task(self: Any, how: str) -> str:
        if how == "fail":
            raise error
        if how == "retry":
            raise self.retry(exc=error)
        return "fine"

    ends = [call(app, task, (how,), task_id="id").end for how in ("succeed", "fail", "retry")]

    assert ends == ["success", "failure", "retry"]
    assert notes == [
        ("before", ("id", ["succeed"], {})),
        ("success", ("fine", "id", ["succeed"], {})),
        ("after", ("SUCCESS", "fine", "id", ["succeed"], {})),
        ("before", ("id", ["fail"], {})),
        ("failure", (error, "id", ["fail"], {}, "Traceback")),
        ("after", ("FAILURE", error, "id", ["fail"], {})),
        ("before", ("id", ["retry"], {})),
        ("retry", (error, "id", ["retry"], {})),
    ]
    assert "on_success of task" in caplog.text


def test_an_error_before_the_start_is_the_tasks_failure(app: Celery) -> None:
    class Broken(Task):
        def before_start(self, *args: Any) -> None:
            raise ValueError("not today")

    @app.task(base=Broken)
    def task() -> None:
        pytest.fail("it ran")

    assert call(app, task).text == "ValueError('not today')"


# messages that cannot be run


@pytest.mark.parametrize(
    ("raw", "complaint"),
    [
        (b"not json", "expected JSON"),
        (b"{}", "expected a body [args, kwargs, options], got {}"),
        (b"[[], {}]", "expected a body [args, kwargs, options], got [[], {}]"),
        (b"[[], null, {}]", "expected a body [args, kwargs, options]"),
        (b"[{}, {}, {}]", "expected a body [args, kwargs, options]"),
        (b'[[], {}, {"chain": [{"task": "t"}]}]', "workflows are not supported yet, and this call carries chain"),
    ],
)
def test_a_body_that_cannot_be_run_is_rejected_and_the_caller_hears_why(
    app: Celery, raw: bytes, complaint: str
) -> None:
    outcome = body(app, raw)

    assert (outcome.end, outcome.state) == ("reject", "FAILURE")
    assert outcome.text.startswith(complaint)
    assert stored(outcome)["status"] == "FAILURE"


@pytest.mark.parametrize("raw", [b"[[], {}, {}]", b"[[], {}, null]"])
def test_an_empty_or_missing_embed_is_fine(app: Celery, raw: bytes) -> None:
    assert body(app, raw).end == "success"


def test_a_refused_content_type_is_rejected(app: Celery) -> None:
    outcome = body(app, b"\x80\x04", content_type="application/x-python-serialize")

    assert outcome.end == "reject"
    assert outcome.text == (
        "content type 'application/x-python-serialize' is refused, accept_content allows application/json"
    )
    assert isinstance(decode_failure(stored(outcome)["result"]), errors.ContentDisallowed)


def test_a_worker_reads_what_the_setting_accepts() -> None:
    assert body(make_app(accept_content=["application/json"]), b"[[], {}, {}]").end == "success"
    assert body(make_app(accept_content=[]), b"[[], {}, {}]").end == "reject"


def test_an_unknown_task_is_rejected(app: Celery) -> None:
    outcome = run(app, app.compose("no.such", (), {}, task_id="id", parent_id="p"))

    assert outcome.end == "reject"
    assert stored(outcome)["result"] == {
        "exc_type": "NotRegistered",
        "exc_message": ["no.such"],
        "exc_module": "celery.exceptions",
    }
    assert stored(outcome)["parent_id"] == "p"


def test_headers_that_are_no_object_are_rejected(app: Celery) -> None:
    assert body(app, b"[[], {}, {}]", headers=b"[1]").end == "reject"


def test_a_refused_call_whose_result_is_ignored_stores_nothing(app: Celery) -> None:
    outcome = run(app, app.compose("no.such", (), {}, ignore_result=True))

    assert (outcome.end, outcome.record) == ("reject", None)


@pytest.mark.parametrize("value", ["3", "[]", "{}", "true", '"x"', "1e400", "null"])
def test_headers_of_any_type_do_no_harm(app: Celery, value: str) -> None:
    names = (
        "task id group group_index root_id parent_id retries timelimit ignore_result shadow expires eta origin stamps"
    )
    headers = "{" + ", ".join(f'"{name}": {value}' for name in names.split()) + "}"

    @app.task(name="proj.flaky", bind=True)
    def flaky(self: Any) -> None:
        raise self.retry()

    assert body(app, b"[[], {}, {}]", headers=headers.encode()).end == "success"
    work: dict[str, Any] = {"headers": headers.encode(), "body": b"[[], {}, {}]"}
    assert run(app, app.compose("proj.flaky", (), {}), **work).end in ("retry", "failure")


class Unprintable(Exception):
    def __repr__(self) -> str:
        raise RuntimeError("no")

    __str__ = __repr__


@pytest.mark.parametrize("how", ["raise", "retry", "reject", "return"])
def test_errors_that_cannot_be_printed_do_no_harm(app: Celery, how: str) -> None:
    @app.task(bind=True)
    def task(self: Any) -> Any:
        error = Unprintable(1)
        match how:
            case "raise":
                raise error
            case "retry":
                raise self.retry(exc=error)
            case "reject":
                raise errors.Reject(error)
        return {error}

    assert call(app, task).end == {"raise": "failure", "return": "failure"}.get(how, how)


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_no_message_breaks_the_executor(raw: bytes, headers: bytes) -> None:
    outcome = body(make_app(), raw, headers=headers)

    assert outcome.end in ("reject", "success")


# limits and records


@pytest.fixture
def soft_limit() -> Iterator[None]:
    def handle(number: int, frame: Any) -> None:
        if in_user_code():
            raise errors.SoftTimeLimitExceeded

    before = signal.signal(signal.SIGUSR1, handle)
    yield
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.usefixtures("soft_limit")
def test_a_soft_limit_is_raised_in_the_task_only(app: Celery) -> None:
    @app.task
    def slow() -> None:
        os.kill(os.getpid(), signal.SIGUSR1)

    assert call(app, slow).text == "SoftTimeLimitExceeded()"
    assert not in_user_code()
    os.kill(os.getpid(), signal.SIGUSR1)


@pytest.mark.usefixtures("soft_limit")
def test_a_soft_limit_at_any_instruction_around_the_task_never_escapes(app: Celery) -> None:
    @app.task
    def task() -> int:
        return 1

    outgoing = app.compose(task.name, (), {})
    watched = {in_user_code.__code__.co_filename, __file__}
    ends, instruction, passed = [], 0, 0

    def trace(frame: Any, event: str, arg: Any) -> Any:
        nonlocal passed
        if frame.f_code.co_filename not in watched:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            passed += 1
            if passed == instruction:
                os.kill(os.getpid(), signal.SIGUSR1)
        return trace

    while passed >= instruction:
        instruction, passed = instruction + 1, 0
        before = sys.gettrace()
        sys.settrace(trace)
        try:
            ends.append(run(app, outgoing).end)
        finally:
            sys.settrace(before)
        assert not in_user_code()

    assert set(ends) == {"success", "failure"}
    assert len(ends) > 20


def test_the_workers_own_ends_are_records_too(app: Celery) -> None:
    envelope = envelope_of(app.compose("t", (), {}, task_id="id", retries=3, group_id="g"))

    record = failure_record(envelope, errors.WorkerLostError("gone"), now=0.0)
    revoked = failure_record(envelope, errors.TaskRevokedError("expired"), now=0.0, state="REVOKED")

    assert record[:3] == ("id", "FAILURE", 3)
    assert json.loads(record.meta) == {
        "status": "FAILURE",
        "result": {"exc_type": "WorkerLostError", "exc_message": ["gone"], "exc_module": "billiard.exceptions"},
        "traceback": None,
        "children": [],
        "date_done": "1970-01-01T00:00:00+00:00",
        "group_id": "g",
        "task_id": "id",
    }
    assert revoked.state == "REVOKED"


def test_what_changes_on_a_task_after_its_first_run_changes_nothing(app: Celery) -> None:
    @app.task
    def task() -> int:
        return 1

    assert call(app, task).record is not None
    task.ignore_result = True

    assert call(app, task).record is not None


def test_a_setting_that_changes_is_seen_by_a_task_that_has_run(app: Celery) -> None:
    @app.task
    def task() -> int:
        return 1

    assert call(app, task).record is not None
    app.conf.task_ignore_result = True

    assert call(app, task).record is None
