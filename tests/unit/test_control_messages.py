"""Remote control on the wire, against envelopes recorded from Celery."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_rs.wire import (
    ControlReply,
    ControlRequest,
    ReplyTo,
    Unreadable,
    open_reply,
    open_request,
    seal_reply,
    seal_request,
)

RECORDED: dict[str, list[dict[str, Any]]] = json.loads(Path(__file__).with_name("control_recorded.json").read_text())[
    "envelopes"
]


def recorded(name: str, index: int) -> bytes:
    return json.dumps(RECORDED[name][index]).encode()


def body_of(envelope: dict[str, Any]) -> Any:
    return json.loads(base64.b64decode(envelope["body"]))


def reshaped(content: object, **changes: object) -> bytes:
    """A recorded request with another content."""
    encoded = base64.b64encode(json.dumps(content).encode()).decode()
    return json.dumps({**RECORDED["ping"][0], "body": encoded, **changes}).encode()


def opened(raw: bytes) -> ControlRequest:
    request = open_request(raw)
    assert isinstance(request, ControlRequest), request
    return request


def test_a_request_of_celery_is_read() -> None:
    request = opened(recorded("rate_limit", 0))

    assert request.method == "rate_limit"
    assert request.arguments == {"task_name": "wr_app.add", "rate_limit": "100/m"}
    assert request.destination is None
    assert request.ticket == "7a12f45b-b97b-4647-84d0-a42f1ffdf044"
    assert request.reply_to == ReplyTo("reply.celery.pidbox", "4729ec6f-54f1-3289-a4e5-a0bd4670c5d9")
    assert request.expires == 1795352718.46911


def test_a_reply_of_celery_is_read() -> None:
    reply = open_reply(recorded("ping", 1))

    assert reply == ControlReply("w1@wireref", {"ok": "pong"}, "a36c3827-f73f-4458-ad2c-134d19fc3aba")


@pytest.mark.parametrize(
    ("name", "index"), [(name, index) for name, pair in RECORDED.items() for index, _ in enumerate(pair)]
)
def test_our_envelopes_have_the_fields_of_celerys(name: str, index: int) -> None:
    theirs = RECORDED[name][index]
    exchange = theirs["properties"]["delivery_info"]["exchange"]

    if exchange == "celery.pidbox":
        ours = json.loads(seal_request(opened(recorded(name, index)), exchange))
    else:
        reply = open_reply(recorded(name, index))
        assert isinstance(reply, ControlReply)
        ours = json.loads(seal_reply(reply, ReplyTo(exchange, theirs["properties"]["delivery_info"]["routing_key"])))

    assert body_of(ours) == body_of(theirs)
    assert set(ours["headers"]) == set(theirs["headers"])
    assert {**ours["properties"], "delivery_tag": ""} == {**theirs["properties"], "delivery_tag": ""}
    assert {**ours, "body": "", "headers": {}, "properties": {}} == {
        **theirs,
        "body": "",
        "headers": {},
        "properties": {},
    }


def test_a_request_survives_the_wire() -> None:
    request = ControlRequest("ping", {"a": [1]}, None, r"w\d@.*", "pcre", "t", ReplyTo("r", "k"), 12.5)

    assert open_request(seal_request(request, "celery.pidbox")) == request


def test_a_value_that_json_lacks_travels_as_its_repr() -> None:
    reply = open_reply(seal_reply(ControlReply("w1@h", {"of": 1 + 2j}, "t"), ReplyTo("r", "k")))

    assert isinstance(reply, ControlReply)
    assert reply.reply == {"of": "(1+2j)"}


def nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("reply", [{(1, 2): 3}, nested(100_000)], ids=["a key that is no text", "too deep"])
def test_a_reply_that_json_cannot_carry_becomes_an_error(reply: object) -> None:
    told = open_reply(seal_reply(ControlReply("w1@h", reply, "t"), ReplyTo("reply", "me")))

    assert isinstance(told, ControlReply)
    assert told.reply["error"].startswith("the reply cannot be written as JSON: ")


@pytest.mark.parametrize(
    ("request_", "meant"),
    [
        (ControlRequest("ping", {}), True),
        (ControlRequest("ping", {}, ("w1@h", "w2@h")), True),
        (ControlRequest("ping", {}, ("w2@h",)), False),
        (ControlRequest("ping", {}, ()), False),
        (ControlRequest("ping", {}, None, "w*@h"), True),
        (ControlRequest("ping", {}, None, "W*@h"), False),
        (ControlRequest("ping", {}, None, r"w\d@", "pcre"), True),
        (ControlRequest("ping", {}, None, r"x\d@", "pcre"), False),
        (ControlRequest("ping", {}, ("w1@h",), "x*"), True),
    ],
)
def test_who_is_meant(request_: ControlRequest, meant: bool) -> None:
    assert request_.is_for("w1@h") is meant


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "expected a JSON object, got b''"),
        (b"\xff\xfe", "expected a JSON object"),
        (b"[]", "expected a JSON object, got b'[]'"),
        (b"[" * 100_000, "expected a JSON object"),
        (b"{}", "expected content type 'application/json', got None"),
        (reshaped({}, body="!"), "expected a body in base64, got '!'"),
        (reshaped({}, body=7), "expected headers, properties and body"),
        (reshaped({}, headers=[1]), "expected headers, properties and body"),
        (reshaped({}, **{"content-type": "application/x-python-serialize"}), "expected content type"),
        (reshaped([]), "expected a JSON object, got b'[]'"),
        (reshaped({}), "expected a method's name, got None"),
        (reshaped({"method": ["ping"]}), "expected a method's name, got ['ping']"),
        (reshaped({"method": "ping", "arguments": [1]}), "expected arguments by name, got [1]"),
        (reshaped({"method": "ping", "destination": "w1@h"}), "expected a list of node names as destination"),
        (reshaped({"method": "ping", "pattern": "(", "matcher": "pcre"}), "expected a pattern (regex"),
        (reshaped({"method": "ping", "pattern": "(?=a)b", "matcher": "pcre"}), "expected a pattern (regex"),
        (reshaped({"method": "ping", "pattern": "a" * 2000, "matcher": "glob"}), "expected a pattern (expected at m"),
        (reshaped({"method": "ping", "pattern": "a", "matcher": "regex"}), "expected a pattern with matcher"),
        (reshaped({"method": "ping", "ticket": "t", "reply_to": "x"}), "expected a ticket and reply_to"),
        (reshaped({"method": "ping", "ticket": None, "reply_to": {}}), "expected a ticket and reply_to"),
        (
            reshaped({"method": "ping", "ticket": "t", "reply_to": {"exchange": "\ud800", "routing_key": "k"}}),
            "expected a reply_to in Unicode",
        ),
        (reshaped({"method": "ping"}, headers={"expires": 10**400}), "expected epoch seconds as expires, got 1000"),
    ],
)
def test_what_cannot_be_read_says_why_in_one_short_line(raw: bytes, reason: str) -> None:
    request = open_request(raw)

    assert isinstance(request, Unreadable)
    assert request.reason.startswith(reason)
    assert len(request.reason) < 250
    assert "\n" not in request.reason


@given(
    st.binary()
    | st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)).map(
        lambda v: reshaped(v)
    )
)
def test_no_bytes_make_opening_raise(raw: bytes) -> None:
    assert isinstance(open_request(raw), ControlRequest | Unreadable)
    assert isinstance(open_reply(raw), ControlReply | Unreadable)


def test_a_pattern_that_would_backtrack_for_ever_is_answered_at_once() -> None:
    request = ControlRequest("ping", {}, pattern="(a+)+$", matcher="pcre")

    assert request.is_for("a" * 200)
    assert not request.is_for("a" * 200 + "!")
