"""before_task_publish and after_task_publish: what they show, and what they may change."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from celery_rs import Celery, errors
from celery_rs.signals import Signal, after_task_publish, before_task_publish
from tests.apps import call, drain, envelope_of, make_app

Listen = Callable[[Signal, Callable[..., object]], None]


@pytest.fixture
def listen() -> Iterator[Listen]:
    """Connect receivers for the length of a test."""
    connected: list[tuple[Signal, Callable[..., object]]] = []

    def connect(signal: Signal, receiver: Callable[..., object]) -> None:
        signal.connect(receiver, weak=False)
        connected.append((signal, receiver))

    yield connect
    for signal, receiver in connected:
        signal.disconnect(receiver)


@pytest.fixture
def app() -> Celery:
    return make_app()


def test_before_shows_the_message_as_celery_does(app: Celery, listen: Listen) -> None:
    seen: list[dict[str, Any]] = []
    listen(before_task_publish, lambda **said: seen.append(said))

    result = app.send_task("proj.add", (1, 2), {"z": 3}, priority=4, headers={"trace": "t"}, shadow="nice")

    (said,) = seen
    assert said["sender"] == "proj.add"
    assert said["body"] == (
        [1, 2],
        {"z": 3},
        {"callbacks": None, "errbacks": None, "chain": None, "chord": None},
    )
    assert (said["exchange"], said["routing_key"]) == ("", "celery")
    assert (said["headers"]["id"], said["headers"]["task"], said["headers"]["trace"]) == (result.id, "proj.add", "t")
    assert (said["headers"]["lang"], said["headers"]["timelimit"], said["headers"]["shadow"]) == (
        "py",
        [None, None],
        "nice",
    )
    assert (said["properties"]["correlation_id"], said["properties"]["priority"]) == (result.id, 4)
    assert said["declare"][0].name == "celery"
    assert said["retry_policy"]["max_retries"] == 3


def test_what_a_receiver_changes_is_what_is_sent(app: Celery, listen: Listen) -> None:
    def change(body: Any, headers: Any, properties: Any, **_: Any) -> None:
        body[0].append("more")
        body[1]["k"] = 1
        headers["trace"] = "abc"
        headers["shadow"] = "other"
        headers["timelimit"] = [9, 8]
        headers["eta"] = "2030-01-02T03:04:05+00:00"
        headers["stamps"] = {"a": 1}
        properties["priority"] = 7
        properties["reply_to"] = "me"

    listen(before_task_publish, change)

    outgoing = app.compose("proj.add", (1,), {}, compression="zlib")
    envelope = envelope_of(outgoing)
    headers = json.loads(envelope.headers)
    after: list[Any] = []
    listen(after_task_publish, lambda body, **_: after.append(body))
    app.sent([outgoing])

    assert after[0][:2] == [[1, "more"], {"k": 1}]
    assert (headers["trace"], headers["stamps"]) == ("abc", {"a": 1})
    assert (envelope.shadow, envelope.hard_limit, envelope.soft_limit) == ("other", 9, 8)
    assert (envelope.priority, envelope.reply_to) == (7, "me")
    assert envelope.eta == outgoing.not_before == 1893553445.0


def test_another_expiry_is_one_for_the_broker_too(app: Celery, listen: Listen) -> None:
    def expire(headers: Any, **_: Any) -> None:
        headers["expires"] = "2030-01-02T03:04:05+00:00"

    listen(before_task_publish, expire)

    outgoing = app.compose("proj.add", (), {})

    assert (outgoing.expires, outgoing.message.expires) == (1893553445.0, "2030-01-02T03:04:05+00:00")
    assert int(outgoing.message.expiration or 0) > 0


def test_a_property_that_cannot_be_sent_is_refused_by_name(app: Celery, listen: Listen) -> None:
    def add(properties: Any, **_: Any) -> None:
        properties["user_id"] = "guest"

    listen(before_task_publish, add)

    with pytest.raises(errors.NotSupported, match="the property 'user_id' of a message is not supported here"):
        app.send_task("proj.add")


def test_another_correlation_id_is_refused(app: Celery, listen: Listen) -> None:
    def change(properties: Any, **_: Any) -> None:
        properties["correlation_id"] = "mine"

    listen(before_task_publish, change)

    with pytest.raises(errors.NotSupported, match="a correlation_id that is not the task's id is not supported here"):
        app.send_task("proj.add")


def test_what_a_receiver_adds_must_travel(app: Celery, listen: Listen) -> None:
    def change(body: Any, **_: Any) -> None:
        body[1]["when"] = 1j

    listen(before_task_publish, change)

    with pytest.raises(errors.EncodeError, match=r"^the body\[1\]\['when'\]: complex is not JSON$"):
        app.send_task("proj.add")


def test_a_receiver_may_change_how_often_it_is_tried(listen: Listen) -> None:
    app = make_app()
    attempts = []

    class Broken:
        def publish(self, batch: Any, *, wait: str = "stored", deadline: float = 5.0) -> None:
            attempts.append(batch)
            raise errors.OperationalError("down")

        def flush(self, deadline: float) -> int:
            return 0

    app._transport = Broken()  # type: ignore[assignment]  # a broker that is down

    def once(retry_policy: Any, **_: Any) -> None:
        retry_policy["max_retries"] = 1
        retry_policy["interval_start"] = 0

    listen(before_task_publish, once)

    with pytest.raises(errors.OperationalError):
        app.send_task("proj.add", retry=True)

    assert len(attempts) == 2


def test_after_shows_what_was_sent(app: Celery, listen: Listen) -> None:
    seen: list[dict[str, Any]] = []
    listen(after_task_publish, lambda **said: seen.append(said))

    result = app.send_task("proj.add", (1, 2), queue="low")

    (said,) = seen
    assert (said["sender"], said["headers"]["id"], said["routing_key"]) == ("proj.add", result.id, "low")
    assert said["body"][0] == [1, 2]


def test_nothing_is_told_of_what_the_broker_refused(listen: Listen) -> None:
    app = make_app()
    seen: list[Any] = []
    listen(after_task_publish, lambda **said: seen.append(said))
    app.transport.close()

    class Broken:
        def publish(self, *_: Any, **__: Any) -> None:
            raise errors.OperationalError("down")

        def flush(self, deadline: float) -> int:
            return 0

    app._transport = Broken()  # type: ignore[assignment]  # a broker that is down

    with pytest.raises(errors.OperationalError):
        app.send_task("proj.add", retry=False)

    assert seen == []


def test_a_retry_and_a_callback_are_told_of_as_well(app: Celery, listen: Listen) -> None:
    told: list[tuple[str, str]] = []
    listen(before_task_publish, lambda sender, **_: told.append(("before", sender)))
    listen(after_task_publish, lambda sender, **_: told.append(("after", sender)))

    @app.task(bind=True, name="proj.again")
    def again(self: Any) -> None:
        raise self.retry(countdown=1)

    @app.task(name="proj.first")
    def first() -> int:
        return 1

    outgoing = app.compose("proj.first", (), {}, link=first.s().set(task_id="next"))
    told.clear()
    call(app, again)
    app.publish([outgoing])
    drain(app)

    assert told.count(("before", "proj.again")) == 2  # the call itself, which `call` composes, and its retry
    assert told.count(("after", "proj.again")) == 1
    assert told.count(("before", "proj.first")) == 1
