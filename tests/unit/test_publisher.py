"""From a call to a message: options, times, ids, and what is refused."""

import json
import re
import time
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from celery_rs import errors
from celery_rs.context import running
from celery_rs.execution import Request
from celery_rs.wire import new_id
from tests.apps import call, drain, envelope_of, make_app

UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def compose(*args: Any, app: Any = None, **options: Any) -> Any:
    return (app or make_app()).compose("proj.add", args, {}, **options)


def test_a_plain_call_has_the_fields_that_celery_sends() -> None:
    message = compose(2, 3).message

    assert json.loads(message.body) == [
        [2, 3],
        {},
        {"callbacks": None, "errbacks": None, "chain": None, "chord": None},
    ]
    assert (message.argsrepr, message.kwargsrepr) == ("(2, 3)", "{}")
    assert (message.eta, message.expires, message.retries, message.parent_id) == (None, None, 0, None)
    assert message.root_id == message.id
    assert re.fullmatch(r"gen\d+@.+", message.origin)
    assert message.ignore_result is None


def test_ids_are_random_uuids() -> None:
    ids = {new_id() for _ in range(1000)}

    assert len(ids) == 1000
    assert all(UUID4.fullmatch(one) for one in ids)


def test_a_registered_task_says_whether_its_result_is_ignored() -> None:
    app = make_app()

    @app.task(ignore_result=True)
    def silent() -> None: ...

    @app.task
    def loud() -> None: ...

    assert app.compose(silent.name, (), {}).message.ignore_result is True
    assert app.compose(loud.name, (), {}).message.ignore_result is False
    assert app.compose(loud.name, (), {}, ignore_result=True).message.ignore_result is True


def test_a_countdown_is_an_absolute_time_and_wins_over_an_eta() -> None:
    before = datetime.now(UTC).timestamp()

    outgoing = compose(countdown=10, eta=datetime(2030, 1, 1, tzinfo=UTC))

    assert outgoing.not_before is not None
    assert before + 10 <= outgoing.not_before <= before + 15
    assert datetime.fromisoformat(outgoing.message.eta).timestamp() == pytest.approx(outgoing.not_before)


def test_times_are_local_where_utc_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        local = compose(countdown=10, app=make_app(enable_utc=False))
        utc = compose(countdown=10, app=make_app(enable_utc=True))
    finally:
        monkeypatch.undo()
        time.tzset()

    assert local.message.eta.endswith("+09:00")
    assert utc.message.eta.endswith("+00:00")


def test_times_are_written_in_the_apps_zone() -> None:
    oslo = compose(countdown=10, expires=20, app=make_app(timezone="Europe/Oslo"))
    utc = compose(countdown=10, app=make_app())

    assert re.search(r"\+0[12]:00$", oslo.message.eta)
    assert re.search(r"\+0[12]:00$", oslo.message.expires)
    assert datetime.fromisoformat(oslo.message.eta).timestamp() == pytest.approx(oslo.not_before)
    assert utc.message.eta.endswith("+00:00")


def test_no_countdown_means_now() -> None:
    assert compose(countdown=0).not_before is None
    assert compose(countdown=0).message.eta is None


def test_an_eta_is_passed_on_as_it_was_given_and_naive_ones_are_utc() -> None:
    aware = datetime(2030, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=2)))

    outgoing, naive = compose(eta=aware), compose(eta=datetime(2030, 1, 2, 3, 4, 5))  # noqa: DTZ001  (a naive one)

    assert outgoing.message.eta == "2030-01-02T03:04:05+02:00"
    assert outgoing.not_before == aware.timestamp()
    assert naive.message.eta == "2030-01-02T03:04:05"
    assert naive.not_before == datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp()


@pytest.mark.parametrize("expires", [60, 60.0, timedelta(seconds=60), "in a minute"])
def test_expiry_is_a_time_and_the_brokers_milliseconds(expires: Any) -> None:
    at = datetime.now(UTC) + timedelta(seconds=60)

    outgoing = compose(expires=at if expires == "in a minute" else expires)

    assert outgoing.expires == pytest.approx(at.timestamp(), abs=5)
    assert datetime.fromisoformat(outgoing.message.expires).timestamp() == pytest.approx(outgoing.expires)
    assert 50_000 < int(outgoing.message.expiration) <= 60_000


def test_what_has_expired_already_has_no_time_left() -> None:
    assert compose(expires=-1).message.expiration == "0"


def test_an_explicit_none_clears_a_tasks_expiry_and_limits_and_nothing_else() -> None:
    app = make_app()

    @app.task(name="proj.add", expires=60, time_limit=30, soft_time_limit=20, priority=5)
    def add() -> None: ...

    plain = compose(app=app).message
    cleared = compose(app=app, expires=None, time_limit=None, soft_time_limit=None, priority=None).message

    assert (plain.hard_limit, plain.soft_limit, plain.priority) == (30, 20, 5)
    assert plain.expires is not None
    assert (cleared.hard_limit, cleared.soft_limit, cleared.priority, cleared.expires) == (None, None, 5, None)


def test_all_that_a_call_says_reaches_the_envelope() -> None:
    outgoing = compose(
        1,
        task_id="my-id",
        priority=6,
        headers={"x-custom": "v"},
        time_limit=30,
        soft_time_limit=20,
        shadow="nice",
        ignore_result=True,
        reply_to="me",
        argsrepr="(hidden)",
        stamps={"a": [1]},
        stamped_headers=["a"],
    )

    envelope = envelope_of(outgoing)
    headers = json.loads(envelope.headers)

    assert (envelope.id, envelope.priority, envelope.shadow, envelope.reply_to) == ("my-id", 6, "nice", "me")
    assert (envelope.hard_limit, envelope.soft_limit, envelope.ignore_result) == (30, 20, True)
    assert headers["x-custom"] == "v"
    assert headers["argsrepr"] == "(hidden)"
    assert (headers["stamps"], headers["stamped_headers"]) == ({"a": [1]}, ["a"])


@pytest.mark.parametrize(
    ("options", "error", "complaint"),
    [
        ({"countdwn": 3}, TypeError, "unknown option 'countdwn' in a call; did you mean 'countdown'?"),
        ({"countdown": "soon"}, TypeError, "countdown must be seconds, got 'soon'"),
        ({"countdown": 1e30}, TypeError, "countdown must be seconds from now within the calendar, got 1e+30"),
        ({"countdown": 10**400}, TypeError, "countdown must be seconds from now within the calendar, got 1000"),
        ({"time_limit": -1}, TypeError, "time_limit must be seconds, not below 0, got -1"),
        ({"time_limit": float("inf")}, TypeError, "time_limit must be seconds, not below 0, got inf"),
        ({"soft_time_limit": float("nan")}, TypeError, "soft_time_limit must be seconds, not below 0, got nan"),
        ({"soft_time_limit": "5"}, TypeError, "soft_time_limit must be seconds, not below 0, got '5'"),
        ({"exchange": 5}, errors.ImproperlyConfigured, "exchange must be a name or an Exchange, got 5"),
        ({"routing_key": 5}, errors.ImproperlyConfigured, "routing_key must be a string, got 5"),
        ({"eta": 3}, TypeError, "eta must be a datetime or ISO 8601 text, got 3"),
        ({"eta": "tomorrow"}, TypeError, "eta must be a datetime or ISO 8601 text, got 'tomorrow'"),
        ({"expires": "later"}, TypeError, "expires must be a datetime or ISO 8601 text, got 'later'"),
        ({"serializer": "morse"}, errors.ImproperlyConfigured, "unknown serializer 'morse', expected one of 'json', "),
        ({"link": 3}, TypeError, "link must be a signature such as task.s(2), or a list of them, got 3"),
        ({"link_error": ["t"]}, TypeError, "link_error must be a signature such as task.s(2), or a list of them, got"),
        (
            {"link": {"task": "celery.group", "subtask_type": "group"}},
            errors.NotSupported,
            "the workflow 'group' in link is not supported here",
        ),
        ({"link": {"args": []}}, TypeError, "a signature is a dict with a 'task', got {'args': []}"),
        ({"chord": {"task": "t"}}, errors.NotSupported, "the option 'chord' is not supported here"),
        ({"connection": object()}, errors.NotSupported, "the option 'connection' is not supported here"),
        ({"producer": object()}, errors.NotSupported, "the option 'producer' is not supported here"),
        ({"immediate": True}, errors.NotSupported, "immediate=True is not supported here"),
        (
            {"compression": "zip"},
            errors.ImproperlyConfigured,
            "unknown compression 'zip', expected one of 'gzip', 'zlib'",
        ),
        ({"compression": 9}, TypeError, "compression must be a string, got 9"),
        ({"priority": "high"}, TypeError, "priority must be a whole number from 0 to 9, got 'high'"),
        ({"priority": True}, TypeError, "priority must be a whole number from 0 to 9, got True"),
        ({"task_id": 7}, TypeError, "task_id must be a string, got 7"),
        ({"headers": ["a"]}, TypeError, "headers must be a dict, got ['a']"),
        ({"ignore_result": "no"}, TypeError, "ignore_result must be True or False, got 'no'"),
        ({"stamped_headers": "a"}, TypeError, "stamped_headers must be a list of strings, got 'a'"),
        ({"retries": -1}, TypeError, "retries must be a whole number, not below 0, got -1"),
        ({"delivery_mode": 3}, TypeError, "delivery_mode must be 1 ('transient') or 2 ('persistent'), got 3"),
        ({"timeout": 0}, TypeError, "timeout must be seconds, above 0, got 0"),
        ({"headers": {"a": 1j}}, errors.EncodeError, "headers['a']: complex is not JSON"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: Any, error: type[Exception], complaint: str) -> None:
    with pytest.raises(error) as caught:
        compose(**options)

    assert str(caught.value).startswith(complaint)


def test_a_call_needs_a_name_and_arguments() -> None:
    app = make_app()

    @app.task
    def add(x: int, y: int) -> None: ...

    with pytest.raises(TypeError, match=r"^the name of a task must be a string, got 5$"):
        app.send_task(5)  # type: ignore[arg-type]  # the point
    with pytest.raises(TypeError, match=r"^args must be a list or tuple and kwargs a dict, got 5 and \{\}$"):
        add.apply_async(5)  # type: ignore[arg-type]  # the point
    with pytest.raises(TypeError, match=r"^args must be a list or tuple and kwargs a dict, got \(1, 2\) and 'k'$"):
        add.apply_async((1, 2), "k")  # type: ignore[arg-type]  # the point


def test_arguments_that_cannot_travel_are_named() -> None:
    with pytest.raises(errors.EncodeError, match=r"^args\[1\]\['when'\]: complex is not JSON$"):
        compose(1, {"when": 1j})
    with pytest.raises(errors.EncodeError, match=r"^kwargs\['k'\]: set is not JSON$"):
        make_app().compose("t", (), {"k": {1}})
    with pytest.raises(TypeError, match="args must be a list or tuple and kwargs a dict, got 'ab'"):
        make_app().compose("t", "ab", {})


def test_what_a_task_sends_is_its_child() -> None:
    app = make_app(task_inherit_parent_priority=True)

    @app.task
    def child() -> None: ...

    @app.task
    def parent() -> None:
        child.delay()

    outcome = call(app, parent, task_id="p", root_id="r", priority=7)
    (grandchild,) = drain(app)

    assert outcome.record is not None
    (((child_id, _), _),) = json.loads(outcome.record.meta)["children"]
    assert grandchild.record is not None
    assert grandchild.record.task_id == child_id
    assert json.loads(grandchild.record.meta)["parent_id"] == "p"


def test_ancestry_is_of_the_running_task_and_not_of_one_called_as_a_function() -> None:
    app = make_app()

    with running(Request(id="me", root_id="root", task="t")):
        inside = app.compose("x", (), {}).message
    with running(Request(task="t")):
        beside = app.compose("x", (), {}).message

    assert (inside.root_id, inside.parent_id) == ("root", "me")
    assert (beside.root_id, beside.parent_id) == (beside.id, None)


class Unreachable:
    """A broker that comes back after some attempts."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.waits: list[str] = []

    def publish(self, batch: Any, *, wait: str, deadline: float = 5.0) -> None:
        self.waits.append(wait)
        if len(self.waits) <= self.failures:
            raise errors.OperationalError("the broker is away")

    def flush(self, deadline: float) -> int:
        return 0


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []
    monkeypatch.setattr("celery_rs.app.publisher.time.sleep", slept.append)
    return slept


def app_on(broker: Any, **settings: Any) -> Any:
    app = make_app(**settings)
    app._transport = broker
    return app


def test_a_call_that_no_queue_takes_is_not_tried_again(pauses: list[float]) -> None:
    app = make_app(broker_url="memory://unroutable")

    with pytest.raises(errors.Unroutable):
        app.send_task("t", exchange="nowhere", routing_key="key")

    assert pauses == []


def test_publishing_is_repeated_as_the_policy_says(pauses: list[float]) -> None:
    broker = Unreachable(3)

    app_on(broker).send_task("t")

    assert pauses == pytest.approx([0, 0.2, 0.4])


def test_publishing_is_repeated_as_the_setting_says(pauses: list[float]) -> None:
    policy = {"max_retries": 2, "interval_start": 1, "interval_step": 2, "interval_max": 5}

    app_on(Unreachable(2), task_publish_retry_policy=policy).send_task("t")
    with pytest.raises(errors.OperationalError):
        app_on(Unreachable(9), task_publish_retry_policy=policy).send_task("t")

    assert pauses == [1, 3, 1, 3]


def test_publishing_gives_up_after_the_last_attempt(pauses: list[float]) -> None:
    broker = Unreachable(99)

    with pytest.raises(errors.OperationalError, match="the broker is away"):
        app_on(broker).send_task(
            "t", retry_policy={"max_retries": 5, "interval_start": 1, "interval_step": 1, "interval_max": 3}
        )

    assert pauses == [1, 2, 3, 3, 3]


@pytest.mark.parametrize(
    ("policy", "complaint"),
    [
        ("often", "retry_policy must be a dict, got 'often'"),
        ({"retries": 3}, "retry_policy must be a dict with only the keys 'max_retries', 'interval_start', "),
        ({"max_retries": "many"}, "retry_policy must be a dict whose max_retries is a whole number, not below 0, got "),
        ({"interval_max": -1}, "retry_policy must be a dict whose interval_max is seconds, not below 0, got "),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(policy: Any, complaint: str) -> None:
    with pytest.raises(TypeError) as caught:
        make_app().send_task("proj.add", retry_policy=policy)

    assert str(caught.value).startswith(complaint)


def test_publishing_is_not_repeated_where_that_is_off(pauses: list[float]) -> None:
    for app, options in (
        (app_on(Unreachable(1), task_publish_retry=False), {}),
        (app_on(Unreachable(1)), {"retry": False}),
    ):
        with pytest.raises(errors.OperationalError):
            app.send_task("t", **options)

    assert pauses == []


def test_only_a_message_sent_by_a_task_waits_until_it_is_stored() -> None:
    broker = Unreachable(0)
    app = app_on(broker)

    app.send_task("t")
    with running(Request(id="me", task="t")):
        app.send_task("t")

    assert broker.waits == ["written", "stored"]
