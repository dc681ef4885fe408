"""Signals of the worker's main process: what they carry, and who is named when one takes long."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from celery_rs import _core, signals
from celery_rs.errors import NotRegistered, TaskRevokedError
from celery_rs.signals import Signal
from celery_rs.worker.dispatcher import Dead, Entry, Expired, Revoked, Rulings
from celery_rs.worker.notices import Notices, Watchdog
from celery_rs.worker.policy import Policy
from celery_rs.worker.request import Request
from tests.apps import make_app
from tests.deadlines import eventually
from tests.messages import delivery

KINDS = (signals.task_received, signals.task_revoked, signals.task_rejected, signals.task_unknown)


class Heard:
    """Everything that is sent while it listens."""

    def __init__(self) -> None:
        self.named: list[dict[str, Any]] = []

    def __call__(self, **named: Any) -> None:
        self.named.append(named)


@pytest.fixture
def heard() -> Iterator[Heard]:
    heard = Heard()
    for kind in KINDS:
        kind.connect(heard)
    yield heard
    for kind in KINDS:
        kind.disconnect(heard)


@pytest.fixture
def notices() -> Notices:
    return Notices(make_app(), "w1@h", "the consumer")


def entry(*, late: bool = False, **fields: Any) -> Entry:
    one = delivery("proj.add", "id-1", body=b'[[1, 2], {"x": 3}, {}]', **fields)
    assert isinstance(one.envelope, _core.Envelope)
    return Entry(one, one.envelope, Policy(late=late), 0.0)


def rulings(*received: Entry) -> Rulings:
    made = Rulings()
    made.received += received
    return made


def test_a_received_task_is_shown_in_celerys_shape(notices: Notices, heard: Heard) -> None:
    notices.received(rulings(entry(eta="2027-01-15T08:00:00+00:00", retries=2, reply_to="r", priority=3)))

    (named,) = heard.named
    request = named["request"]
    assert (named["sender"], type(request)) == ("the consumer", Request)
    assert (request.id, request.task_id, request.name, request.type) == ("id-1", "id-1", "proj.add", "proj.add")
    assert (request.args, request.kwargs) == ([1, 2], {"x": 3})
    assert (request.retries, request.hostname, request.reply_to) == (2, "w1@h", "r")
    assert request.eta.isoformat() == "2027-01-15T08:00:00+00:00"
    assert request.headers["task"] == request.message.headers["task"] == "proj.add"
    assert request.delivery_info == {"exchange": "", "routing_key": "celery", "priority": 3, "redelivered": False}
    assert request.correlation_id == "id-1"
    assert str(request) == "proj.add[id-1]"


def test_a_body_that_is_not_json_is_shown_as_its_sender_wrote_it(notices: Notices, heard: Heard) -> None:
    notices.received(rulings(entry(content_type="application/x-python-serialize", argsrepr="(1,)", kwargsrepr="{}")))

    request = heard.named[0]["request"]
    assert (request.args, request.kwargs) == ("(1,)", "{}")
    with pytest.raises(ValueError, match="not plain JSON"):
        request.message.payload  # noqa: B018 - reading is what raises


def test_what_is_dropped_at_once_is_not_told_as_received(notices: Notices, heard: Heard) -> None:
    expired, revoked = entry(), entry()
    both = rulings(expired, revoked)
    both.expired.append(Expired(expired, TaskRevokedError("expired")))
    both.revoked.append(Revoked(revoked, None))

    notices.received(both)

    assert heard.named == []


@pytest.mark.parametrize(
    ("how", "told"),
    [({}, (False, None, False)), ({"expired": True}, (False, None, True)), ({"signum": 15}, (True, 15, False))],
)
def test_a_revoked_task_is_told_with_the_reason(
    notices: Notices, heard: Heard, how: dict[str, Any], told: object
) -> None:
    notices.revoked(entry(), **how)

    (named,) = heard.named
    assert (named["terminated"], named["signum"], named["expired"]) == told
    assert named["request"].id == "id-1"


def test_an_unknown_task_and_bytes_that_cannot_be_read_are_different_things(notices: Notices, heard: Heard) -> None:
    (error,) = _core.open_envelopes([b"garbage"])
    unknown = NotRegistered("proj.add")

    notices.dead(Dead(delivery("proj.add", "id-1"), "unknown-task", "", unknown))
    notices.dead(Dead(delivery()._replace(envelope=error), "undecodable", "", None))

    first, second = heard.named
    assert (first["name"], first["id"], first["exc"]) == ("proj.add", "id-1", unknown)
    assert first["message"].headers["id"] == "id-1"
    assert (second["signal"], second["exc"]) == (signals.task_rejected, None)
    assert (second["message"].body, second["message"].headers) == (b"garbage", {})


def test_nothing_is_made_where_nobody_listens(notices: Notices, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Notices, "tell", None)
    for kind in KINDS:  # an app that another test has imported may listen still
        monkeypatch.setattr(kind, "receivers", ())

    notices.received(rulings(entry()))
    notices.revoked(entry())
    notices.dead(Dead(delivery(), "unknown-task", "", None))
    notices.dead(Dead(delivery(), "crashes", "", None))


def test_a_receiver_that_hangs_is_named_once_while_it_does(caplog: pytest.LogCaptureFixture) -> None:
    happened, go = Signal("happened"), threading.Event()

    def sleepy(**named: Any) -> None:
        eventually(lambda: "sleepy" in caplog.text)
        go.set()

    happened.connect(sleepy)
    watchdog = Watchdog(slow_s=0.02)

    with watchdog.watching(happened):
        happened.send(None)

    assert go.is_set()
    assert caplog.text.count("receiver of the signal happened") == 1


def test_receivers_that_are_quick_are_not_named(caplog: pytest.LogCaptureFixture) -> None:
    happened, watchdog = Signal("happened"), Watchdog(slow_s=30.0)

    for _ in range(100):
        with watchdog.watching(happened):
            happened.send(None)

    assert caplog.text == ""
