"""The codec of AMQP: what Celery sent, byte for byte; every type of field; anything at all."""

import base64
import json
import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_rs._core import (
    DecodeError,
    Envelope,
    FrameReader,
    amqp_changed,
    amqp_content,
    amqp_headers,
    amqp_of_envelope,
    amqp_publishes,
    open_amqp,
    open_envelopes,
    seal_envelopes,
)
from celery_rs.wire import Message
from tests.messages import message
from tests.oracles import amqp
from tests.oracles.amqp import Field

REAL: dict[str, dict[str, Any]] = json.loads(
    Path(__file__).parent.with_name("fixtures").joinpath("amqp_contents.json").read_text()
)
CALLS = [name for name, sent in REAL.items() if "task" in sent["headers"] and "x-death" not in sent["headers"]]
"""Calls as a client sent them: a message with deaths was written by RabbitMQ."""
HEAD = 7 + 12
"""What stands in front of the properties in the frame of a content header."""

names = st.text(min_size=1, max_size=20)
texts = st.text(max_size=40)
simple = st.one_of(
    st.just(Field("V", None)),
    st.builds(Field, st.just("t"), st.booleans()),
    st.builds(Field, st.just("b"), st.integers(-128, 127)),
    st.builds(Field, st.just("B"), st.integers(0, 255)),
    st.builds(Field, st.just("s"), st.integers(-(2**15), 2**15 - 1)),
    st.builds(Field, st.just("u"), st.integers(0, 2**16 - 1)),
    st.builds(Field, st.just("I"), st.integers(-(2**31), 2**31 - 1)),
    st.builds(Field, st.just("i"), st.integers(0, 2**32 - 1)),
    st.builds(Field, st.sampled_from("lL"), st.integers(-(2**63), 2**63 - 1)),
    st.builds(Field, st.just("f"), st.floats(width=32, allow_nan=False)),
    st.builds(Field, st.just("d"), st.floats(allow_nan=False)),
    st.builds(Field, st.just("D"), st.tuples(st.integers(0, 20), st.integers(-(2**31), 2**31 - 1))),
    st.builds(Field, st.just("T"), st.integers(0, 2**63 - 1)),
    st.builds(Field, st.just("S"), texts),
    st.builds(Field, st.just("x"), st.binary(max_size=20)),
)
fields = st.recursive(
    simple,
    lambda inner: st.one_of(
        st.builds(Field, st.just("A"), st.lists(inner, max_size=4)),
        st.builds(Field, st.just("F"), st.dictionaries(names, inner, max_size=4)),
    ),
    max_leaves=12,
)
tables = st.dictionaries(names, fields, max_size=8)


def recorded(name: str) -> tuple[bytes, bytes]:
    """The properties and the body of what real Celery sent."""
    frame = base64.b64decode(REAL[name]["content_header_frame"])
    return frame[HEAD : 7 + int.from_bytes(frame[3:7], "big")], base64.b64decode(REAL[name]["body"])


def recorded_call(name: str) -> Message:
    """The call that real Celery sent, as a client of ours says it."""
    properties, body = recorded(name)
    (opened,) = open_amqp([("", "celery", False, properties, body)])
    envelope = json.loads(opened.raw)
    headers, given = envelope["headers"], envelope["properties"]
    assert headers.pop("lang") == "py"
    hard, soft = headers.pop("timelimit")
    ours = {key: headers.pop(key) for key in Message._fields if key in headers and key not in ("headers", "stamps")}
    stamps = json.dumps(headers.pop("stamps")).encode()
    return Message(
        **ours,
        body=body,
        delivery_tag="",
        content_type=envelope["content-type"],
        content_encoding=envelope["content-encoding"],
        hard_limit=hard,
        soft_limit=soft,
        stamps=stamps,
        headers=json.dumps(headers).encode(),
        **{key: given[key] for key in ("reply_to", "priority", "delivery_mode", "expiration") if key in given},
    )


def same(one: Any, other: Any) -> bool:
    """Equal, with floats as near as a division leaves them."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-12)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return type(one) is type(other) and bool(one == other)


def one_line(read: Callable[[], object]) -> bool:
    """Whether it is read, or refused in one line."""
    try:
        read()
    except ValueError as error:
        return "\n" not in str(error)
    return True


@pytest.mark.parametrize("name", REAL)
def test_the_headers_that_celery_sent_are_read(name: str) -> None:
    properties, _ = recorded(name)

    headers = amqp_headers(properties)

    known = REAL[name]["headers"]
    assert {key: headers[key] for key in known if key != "x-death"} == {
        key: value for key, value in known.items() if key != "x-death"
    }


@pytest.mark.parametrize("name", sorted(name for name in REAL if not name.startswith("quorum")))
def test_what_celery_sent_is_written_byte_for_byte(name: str) -> None:
    properties, body = recorded(name)
    (opened,) = open_amqp([("", "celery", False, properties, body)])

    assert amqp_changed(properties) == properties
    assert amqp_of_envelope(opened.raw) == (properties, body)


@pytest.mark.parametrize("name", CALLS)
def test_a_call_is_published_byte_for_byte_as_celery_did(name: str) -> None:
    header = base64.b64decode(REAL[name]["content_header_frame"])
    channel = int.from_bytes(header[1:3], "big")
    call = recorded_call(name)

    (frames,) = amqp_publishes([call], [("", "celery")], channel, 131_072, False)

    method = amqp.frame(1, channel, b"\x00\x3c\x00\x28\x00\x00" + b"\x00\x06celery\x00")
    assert frames == method + header + amqp.frame(3, channel, call.body)


@given(tables)
def test_every_type_of_field_is_read(table: dict[str, Field]) -> None:
    headers = amqp_headers(amqp.properties(table))

    assert same(headers, {name: amqp.meaning(each) for name, each in table.items()})


@given(tables, st.dictionaries(names, st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | texts, max_size=4))
def test_headers_are_set_and_nothing_else_changes(table: dict[str, Field], changes: dict[str, Any]) -> None:
    properties = amqp.properties(table, mode=2, content_type="text/plain", correlation_id="c", reply_to="r")

    changed = amqp_changed(properties, headers=changes)

    kept = {name: each for name, each in table.items() if name not in changes}
    written = amqp_headers(changed)
    assert same({name: written[name] for name in kept}, {name: amqp.meaning(each) for name, each in kept.items()})
    assert {name: written[name] for name in changes} == changes
    assert amqp_changed(changed, without=list(changes)) == amqp_changed(properties, without=list(changes))


def test_expiration_and_delivery_mode_are_changed_or_kept() -> None:
    properties = amqp.properties({}, mode=1, expiration="500")

    assert amqp_changed(properties) == properties
    assert amqp_changed(properties, expiration="", delivery_mode=2) == amqp.properties({}, mode=2)
    assert amqp_changed(properties, expiration="9") == amqp.properties({}, mode=1, expiration="9")


@given(tables, st.binary(max_size=200), st.lists(st.integers(1, 40), max_size=3), st.lists(st.integers(0, 600)))
def test_a_message_is_put_together_wherever_its_bytes_are_cut(
    table: dict[str, Field], body: bytes, sizes: list[int], cuts: list[int]
) -> None:
    properties = amqp.properties(table)
    sent = amqp.delivery(3, "me", 7, True, "ex", "key") + amqp.content(3, properties, body, sizes)
    sent += amqp.frame(8, 0, b"") + amqp.frame(1, 1, b"\x00\x3c\x00\x50" + (9).to_bytes(8, "big") + b"\x01")
    reader = FrameReader()
    places = [0, *sorted(min(cut, len(sent)) for cut in cuts), len(sent)]

    items = [item for start, end in pairwise(places) for item in reader.feed(sent[start:end])]

    assert items == [("deliver", 3, "me", 7, True, "ex", "key", properties, body), ("heartbeat",), ("ack", 1, 9, True)]


@given(st.binary(max_size=300), st.integers(4096, 5000))
def test_what_is_published_is_what_is_read(body: bytes, frame_max: int) -> None:
    body *= 50
    properties = amqp.properties({"a": Field("I", 1)}, mode=2)
    frames = amqp_content(5, frame_max, "ex", "key", True, properties, body)
    publish, rest = frames[: frames.index(b"\xce\x02") + 1], frames[frames.index(b"\xce\x02") + 1 :]

    items = FrameReader().feed(amqp.delivery(5, "", 1, False, "ex", "key") + rest)

    assert publish == amqp.frame(1, 5, b"\x00\x3c\x00\x28\x00\x00" + b"\x02ex\x03key\x01")
    assert items == [("deliver", 5, "", 1, False, "ex", "key", properties, body)]
    assert all(len(each) <= frame_max for each in rest.split(b"\xce\x03"))


@given(st.text(min_size=1), st.dictionaries(names, st.none() | st.integers(-9, 9) | texts, max_size=3), st.binary())
def test_a_message_says_over_amqp_what_its_envelope_says(id: str, headers: dict[str, Any], body: bytes) -> None:
    if len(id.encode()) > 255:
        id = "long"
    sent = message(id=id, body=body, headers=json.dumps(headers).encode() if headers else b"")
    (frames,) = amqp_publishes([sent], [("ex", "key")], 1, 131_072, False)
    rest = frames[frames.index(b"\xce\x02") + 1 :]
    ((*_, properties, arrived),) = FrameReader().feed(amqp.delivery(1, "", 1, False, "ex", "key") + rest)

    (opened,) = open_amqp([("ex", "key", False, properties, arrived)])

    (sealed,) = open_envelopes(seal_envelopes([sent], [("ex", "key")]))
    if isinstance(sealed, Envelope):
        assert isinstance(opened, Envelope)
        assert json.loads(opened.headers) == json.loads(sealed.headers)
        assert (opened.id, opened.body, opened.routing_key) == (sealed.id, sealed.body, sealed.routing_key)
    else:
        assert isinstance(opened, DecodeError)


@given(st.binary(max_size=120))
def test_properties_of_any_bytes_are_read_or_refused(properties: bytes) -> None:
    (opened,) = open_amqp([("ex", "key", True, properties, b"body")])
    assert isinstance(opened, Envelope | DecodeError)
    assert one_line(lambda: amqp_headers(properties))


@given(tables, st.data())
def test_properties_that_end_too_early_are_refused(table: dict[str, Field], data: st.DataObject) -> None:
    properties = amqp.properties(table, mode=2, reply_to="somebody")
    cut = properties[: data.draw(st.integers(0, len(properties) - 1))]

    with pytest.raises(ValueError, match=r"ends too early|not AMQP"):
        amqp_headers(cut)


@given(st.lists(st.binary(max_size=100), max_size=5))
def test_anything_that_is_sent_is_read_or_refused(parts: list[bytes]) -> None:
    reader = FrameReader()

    assert one_line(lambda: [reader.feed(part) for part in parts])


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (b"HTTP/1.1 400 Bad Request", "expected a frame, got 'HTTP/1.1'"),
        (b"AMQP\x00\x01\x00\x00", "expected a frame"),
        (b"\x01\x00\x00\xff\xff\xff\xff", "4294967295 bytes long"),
        (amqp.frame(3, 1, b"body"), "a piece of a message that nothing announced"),
        (amqp.frame(8, 0, b"")[:-1] + b"x", "a frame without its end"),
        (amqp.delivery(1, "", 1, False, "", "q") + amqp.frame(2, 1, b"\0\0\0\0" + b"\xff" * 8), "bytes long"),
    ],
)
def test_what_is_no_amqp_is_refused_in_one_line(sent: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        FrameReader().feed(sent)


def test_a_body_is_no_longer_than_was_said() -> None:
    start = amqp.delivery(1, "", 1, False, "", "q") + amqp.frame(2, 1, b"\0\x3c\0\0" + (3).to_bytes(8, "big") + b"\0\0")

    with pytest.raises(ValueError, match="longer than the 3 bytes"):
        FrameReader().feed(start + amqp.frame(3, 1, b"four"))


def test_tables_within_tables_end_somewhere() -> None:
    deep = Field("F", {})
    for _ in range(200):
        deep = Field("F", {"a": deep})

    with pytest.raises(ValueError, match="nested deeper"):
        amqp_headers(amqp.properties({"a": deep}))


@pytest.mark.parametrize("part", ["exchange", "routing_key"])
def test_a_name_that_is_too_long_is_refused(part: str) -> None:
    route = {"exchange": "ex", "routing_key": "key"} | {part: "x" * 256}

    with pytest.raises(ValueError, match="at most 255 bytes"):
        amqp_content(1, 131_072, route["exchange"], route["routing_key"], True, b"\0\0", b"")
