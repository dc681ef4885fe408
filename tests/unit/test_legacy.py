"""Messages of protocol 1, and those half-way: what a worker makes of them."""

import base64
import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from celery_rs import signals
from celery_rs._core import Envelope, open_envelopes, seal_envelopes
from celery_rs.errors import CeleryError, ContentDisallowed, InvalidTaskError
from celery_rs.execution import Work, execute
from celery_rs.transports import Delivery
from celery_rs.wire import as_protocol_2, id_of
from celery_rs.worker.upgrading import upgraded
from tests.apps import make_app
from tests.messages import delivery

REAL = json.loads(Path(__file__).parent.with_name("fixtures").joinpath("envelopes.json").read_text())["task-protocol1"]
JSON = frozenset({"application/json"})
BERLIN = ZoneInfo("Europe/Berlin")


def old(
    body: Any = None, headers: dict[str, Any] | None = None, top: Mapping[str, Any] = MappingProxyType({})
) -> bytes:
    """An envelope of protocol 1."""
    body = {"task": "proj.add", "id": "old", "args": [1, 2]} if body is None else body
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return json.dumps(
        {
            "body": base64.b64encode(text).decode(),
            "content-type": "application/json",
            "content-encoding": "utf-8",
            "headers": headers or {},
            "properties": {"body_encoding": "base64", "delivery_info": {"exchange": "e", "routing_key": "k"}},
        }
        | dict(top)
    ).encode()


def new(raw: bytes, local: Any = BERLIN, accept: frozenset[str] = JSON) -> Envelope:
    """The envelope of protocol 2, as the core reads it."""
    opened = open_envelopes([as_protocol_2(raw, accept, local)])[0]
    assert isinstance(opened, Envelope), opened
    return opened


def test_what_celery_sent_as_protocol_1_is_read_whole() -> None:
    found = new(REAL.encode())

    assert (found.task, found.id, found.retries) == ("wr_app.add", "591fddff-6cf7-495b-a4fa-238e0bd32c74", 0)
    assert found.eta == pytest.approx(1795353294.9, abs=0.1)
    assert (found.argsrepr, found.kwargsrepr) == ("(2, 3)", "{}")
    assert json.loads(found.body) == [[2, 3], {}, {"chain": None, "callbacks": None, "errbacks": None, "chord": None}]
    assert json.loads(found.properties)["reply_to"] == "7b34d0b1-9bb2-3716-a9bc-7982e8539b26"


def test_a_task_and_an_id_are_enough() -> None:
    found = new(old({"task": "t", "id": "i"}))

    assert (found.task, found.id, found.eta, found.hard_limit, found.group) == ("t", "i", None, None, None)
    assert json.loads(found.body)[:2] == [[], {}]
    assert (found.exchange, found.routing_key) == ("e", "k")


def test_everything_that_protocol_1_says_is_kept() -> None:
    link: dict[str, Any] = {
        "task": "then",
        "args": [],
        "kwargs": {},
        "options": {},
        "subtask_type": None,
        "immutable": False,
    }
    body = {"task": "t", "id": "i", "args": [1], "kwargs": {"x": 2}, "retries": 3, "timelimit": [30, 20]}
    links = {"callbacks": [link], "errbacks": [link], "chord": link}

    found = new(old({**body, **links, "group": "g", "group_index": 4, "expires": "2030-01-01T00:00:00+00:00"}))

    assert (found.retries, found.hard_limit, found.soft_limit, found.group) == (3, 30.0, 20.0, "g")
    assert json.loads(found.headers)["group_index"] == 4
    assert found.expires == 1893456000.0
    assert json.loads(found.body) == [[1], {"x": 2}, {"chain": None, **links}]


def test_a_taskset_is_the_group() -> None:
    assert new(old({"task": "t", "id": "i", "taskset": "set", "group": "group"})).group == "set"
    assert new(old({"task": "t", "id": "i", "taskset": None, "group": "group"})).group == "group"


@pytest.mark.parametrize(
    ("utc", "eta", "offset_h"),
    [
        (True, "2030-01-02T03:04:05", 0),
        (None, "2030-01-02T03:04:05", 0),
        (False, "2030-01-02T03:04:05", 1),
        (False, "2030-07-02T03:04:05", 2),
        (False, "2030-01-02T03:04:05+05:00", 5),
    ],
)
def test_a_time_without_a_zone_is_in_the_zone_that_the_sender_means(utc: bool | None, eta: str, offset_h: int) -> None:
    said = {"task": "t", "id": "i", "eta": eta, "expires": eta} | ({} if utc is None else {"utc": utc})

    found = new(old(said))

    expected = new(old({"task": "t", "id": "i", "eta": eta.split("+")[0] + "+00:00"})).eta
    assert expected is not None
    assert found.eta == found.expires == expected - offset_h * 3600


def test_headers_win_half_way() -> None:
    body = {"args": [1], "kwargs": {"x": 2}, "retries": 1, "eta": "2030-01-01T00:00:00", "task": "no", "id": "no"}

    found = new(old(body, headers={"task": "t", "id": "i", "retries": 5, "x-own": "v"}))

    assert (found.task, found.id, found.retries) == ("t", "i", 5)
    assert found.eta == 1893456000.0
    assert json.loads(found.headers)["x-own"] == "v"
    assert json.loads(found.body)[:2] == [[1], {"x": 2}]


def test_values_that_json_has_no_words_for_stay_what_they_are() -> None:
    when = {"__type__": "datetime", "__value__": "2026-01-02T03:04:05"}

    assert json.loads(new(old({"task": "t", "id": "i", "args": [when]})).body)[0] == [when]


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (b"{", CeleryError),
        (b"[]", InvalidTaskError),
        (old([1, 2]), InvalidTaskError),
        (old(b"{not json"), CeleryError),
        (old({"task": "t", "id": "i", "args": 5}), InvalidTaskError),
        (old({"task": "t", "id": "i", "kwargs": [1]}), InvalidTaskError),
        (old(headers={"compression": "application/x-gzip"}), CeleryError),
        (old(top={"body": "&"}), InvalidTaskError),
        (old(top={"body": None}), InvalidTaskError),
        (old(top={"headers": []}), InvalidTaskError),
        (old(top={"properties": 7}), InvalidTaskError),
        (
            old(pickle.dumps({"task": "t", "id": "i"}), top={"content-type": "application/x-python-serialize"}),
            ContentDisallowed,
        ),
        (old(top={"content-type": None}), CeleryError),
        (b'{"body":' * 5_000, CeleryError),
    ],
)
def test_what_is_no_such_message_is_refused(raw: bytes, error: type[Exception]) -> None:
    with pytest.raises(error) as raised:
        as_protocol_2(raw, JSON, None)

    assert isinstance(raised.value, CeleryError)


@pytest.mark.parametrize(
    ("raw", "id"),
    [
        (b'{"headers": {"id": "h"}, "properties": {"correlation_id": "c"}}', "h"),
        (b'{"headers": {"id": 5}, "properties": {"correlation_id": "c"}}', "c"),
        (b' {"headers": [], "properties": {"correlation_id": "c"}}', "c"),
        (b'{"headers": {"id": ""}, "properties": null}', None),
        (b'{"headers": {"id": "\\ud800"}, "properties": {"correlation_id": "c"}}', "c"),
        (b'{"headers"', None),
        (b"\xff\x00", None),
        (b'{"a":' * 5_000, None),
    ],
)
def test_the_caller_is_found_where_anything_tells_whose_it_is(raw: bytes, id: str | None) -> None:
    assert id_of(raw) == id


# In a worker


def given(raw: bytes, tag: str = "t1") -> Delivery:
    return Delivery(tag, "celery", open_envelopes([raw])[0], redelivered=True, crashes=1, deliveries=3)


def test_deliveries_of_today_are_handed_on_as_they_are() -> None:
    deliveries = [delivery(), delivery()]

    assert upgraded(deliveries, make_app()) is deliveries


def test_only_old_deliveries_are_made_anew_and_keep_their_place() -> None:
    today, unreadable, old_one = delivery(), given(b"rubbish", "t2"), given(old(), "t3")

    found = upgraded([today, old_one, unreadable], make_app())

    assert found[0] is today
    assert found[2] is unreadable
    assert isinstance(found[1].envelope, Envelope)
    assert found[1].envelope.id == "old"
    assert (found[1].tag, found[1].redelivered, found[1].crashes, found[1].deliveries) == ("t3", True, 1, 3)


def test_the_zone_of_an_old_time_is_the_apps() -> None:
    message = given(old({"task": "t", "id": "i", "eta": "2030-01-02T03:04:05", "utc": False}))

    (found,) = upgraded([message], make_app(timezone="Europe/Berlin"))

    assert isinstance(found.envelope, Envelope)
    assert found.envelope.eta == 1893549845.0


def test_what_cannot_be_made_anew_stays_as_it_came() -> None:
    (found,) = upgraded([given(old([1, 2]))], make_app())

    assert not isinstance(found.envelope, Envelope)


# Sending it


def test_protocol_1_is_sent_where_the_settings_say_so() -> None:
    app = make_app(task_protocol=1)

    sent = app.compose("wr_app.add", (2, 3), {}, task_id="i", countdown=600, headers={"x-own": "v"})

    envelope = json.loads(seal_envelopes([sent.message], [sent.route])[0])
    recorded = json.loads(REAL)
    body, their_body = (json.loads(base64.b64decode(each["body"])) for each in (envelope, recorded))
    assert envelope["headers"] == {"x-own": "v"}
    assert list(envelope["properties"]) == list(recorded["properties"])
    assert list(body) == list(their_body)
    assert body == their_body | {"id": "i", "eta": sent.message.eta}


def test_what_is_sent_as_protocol_1_comes_back_whole() -> None:
    app = make_app(task_protocol=1)
    options: dict[str, Any] = {"group_id": "g", "group_index": 3, "retries": 2, "time_limit": 9, "soft_time_limit": 8}

    sent = app.compose("t", (1,), {"x": 2}, link=app.signature("then"), compression="gzip", expires=60, **options)

    found = new(seal_envelopes([sent.message], [sent.route])[0])
    assert (found.task, found.id, found.group, found.retries) == ("t", sent.message.id, "g", 2)
    assert (found.hard_limit, found.soft_limit, found.compression) == (9.0, 8.0, None)
    assert found.expires == pytest.approx(sent.expires, abs=0.01)
    args, kwargs, embed = json.loads(found.body)
    assert (args, kwargs, embed["callbacks"][0]["task"]) == ([1], {"x": 2}, "then")


def test_a_task_sent_as_protocol_1_runs() -> None:
    app = make_app(task_protocol=1)

    @app.task(name="add")
    def add(x: int, y: int) -> int:
        return x + y

    sent = app.compose("add", (2, 3), {})
    envelope = new(seal_envelopes([sent.message], [sent.route])[0])
    work = Work.of("tag", envelope, "celery", redelivered=False, announce=False, late=False)
    outcome = execute(app, work, hostname="w1@h", tell=lambda record: None)

    assert (outcome.end, outcome.text) == ("success", "5")


def test_receivers_hear_of_protocol_1_as_it_is_sent() -> None:
    app = make_app(task_protocol=1)
    heard: list[dict[str, Any]] = []

    def receiver(**said: Any) -> None:
        heard.append(said)

    signals.after_task_publish.connect(receiver)
    app.send_task("t", (1,), headers={"x-own": "v"})
    signals.after_task_publish.disconnect(receiver)

    assert heard[0]["headers"] == {"x-own": "v"}
    assert heard[0]["body"]["args"] == [1]
