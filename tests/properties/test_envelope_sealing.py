"""Sealing messages: Celery's own bytes, and what Python's `json` would write for any message."""

import base64
import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from celery_rs import _core
from celery_rs.wire.message import Message
from tests.oracles.envelope import seal_envelope

REAL: dict[str, str] = json.loads(Path(__file__).parent.with_name("fixtures").joinpath("envelopes.json").read_text())
TASKS = {name for name, raw in REAL.items() if "task" in json.loads(raw)["headers"]}
# A retry carries `origin` among the properties, by accident, and a call the reprs that it was given; we do not.
WRITTEN_ALIKE = sorted(TASKS - {"worker-sent-retry", "task-argsrepr"})
OURS = set(json.loads(REAL["task-simple"])["headers"])

MINIMAL = Message(task="t", id="i", body=b"[]", delivery_tag="d")


def sealed(message: Message, exchange: str = "", routing_key: str = "q") -> bytes:
    return _core.seal_envelopes([message], [(exchange, routing_key)])[0]


def message_in(envelope: dict[str, Any]) -> Message:
    headers, properties = envelope["headers"], envelope["properties"]
    own = {name: headers[name] for name in OURS & set(Message._fields)}
    own["stamps"] = json.dumps(headers["stamps"]).encode()
    hard_limit, soft_limit = headers["timelimit"]
    return Message(
        **own,
        body=base64.b64decode(envelope["body"]),
        delivery_tag=properties["delivery_tag"],
        content_type=envelope["content-type"],
        content_encoding=envelope["content-encoding"],
        hard_limit=hard_limit,
        soft_limit=soft_limit,
        compression=headers.get("compression"),
        headers=json.dumps({name: headers[name] for name in headers if name not in {*OURS, "compression"}}).encode(),
        reply_to=properties["reply_to"],
        priority=properties["priority"],
        delivery_mode=properties["delivery_mode"],
        expiration=properties.get("expiration"),
    )


@pytest.mark.parametrize("name", WRITTEN_ALIKE)
def test_a_message_is_written_as_celery_wrote_it_to_the_byte(name: str) -> None:
    envelope = json.loads(REAL[name])
    route = envelope["properties"]["delivery_info"]

    assert sealed(message_in(envelope), route["exchange"], route["routing_key"]).decode() == REAL[name]


def test_fields_are_read_in_the_order_that_message_has() -> None:
    headers = (
        "task",
        "id",
        "shadow",
        "eta",
        "expires",
        "group",
        "root_id",
        "parent_id",
        "argsrepr",
        "kwargsrepr",
        "origin",
    )
    tops = {"content_type": "content-type", "content_encoding": "content-encoding"}
    marks: dict[str, Any] = {name: f"<{name}>" for name in (*headers, *tops, "reply_to", "expiration", "delivery_tag")}
    marked = MINIMAL._replace(**marks)

    envelope = json.loads(sealed(marked))

    assert all(envelope["headers"][name] == f"<{name}>" for name in headers)
    assert all(envelope[key] == f"<{name}>" for name, key in tops.items())
    assert all(envelope["properties"][name] == f"<{name}>" for name in ("reply_to", "expiration", "delivery_tag"))


def test_a_users_header_takes_the_place_of_ours_but_not_of_the_compression() -> None:
    message = MINIMAL._replace(headers=b'{"lang":"rs", "x": [1,2], "x": 3, "compression": "none"}', compression="zstd")

    headers = json.loads(sealed(message))["headers"]

    assert (headers["lang"], headers["x"], headers["compression"]) == ("rs", 3, "zstd")
    assert next(iter(headers)) == "lang"


def test_users_json_is_copied_as_it_stands() -> None:
    message = MINIMAL._replace(headers='{"é\\u0041":1.0e5}'.encode(), stamps=b' {"s":NaN} ')

    assert '"stamps": {"s":NaN}, "é\\u0041": 1.0e5}'.encode() in sealed(message)


@pytest.mark.parametrize(
    "number",
    [1e16, 1.0, 0.1, 1e-5, 0.0001, 213770595194652.125, 123456789012345680.0, 5e-324, 1.7976931348623157e308, -0.0],
)
def test_floats_are_written_as_python_writes_them(number: float) -> None:
    assert json.dumps([number, None]).encode() in sealed(MINIMAL._replace(hard_limit=number))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"headers": b"[]"}, "headers must be a JSON object: not JSON: expected '{' at byte 0"),
        ({"headers": b"{} x"}, "headers must be a JSON object: not JSON: expected nothing more at byte 3"),
        ({"stamps": b""}, "stamps must be a JSON object: not JSON: expected '{' at byte 0"),
        ({"stamps": b'{"a": \xff}'}, "stamps must be a JSON object: not UTF-8 at byte 6"),
    ],
)
def test_user_json_that_is_no_object_is_refused(change: dict[str, Any], error: str) -> None:
    with pytest.raises(ValueError) as caught:
        sealed(MINIMAL._replace(**change))

    assert str(caught.value) == error


def test_a_field_of_the_wrong_type_is_named() -> None:
    with pytest.raises(TypeError, match=r"^Message\.retries: "):
        sealed(MINIMAL._replace(retries="3"))  # type: ignore[arg-type]  # the point


def test_a_route_is_needed_for_each_message() -> None:
    with pytest.raises(ValueError, match="messages and routes must be of one length, got 1 and 0"):
        _core.seal_envelopes([MINIMAL], [])


def test_a_single_surrogate_is_shown_as_the_replacement() -> None:
    assert b'"argsrepr": "<\\ufffd\\ufffd\\ufffd>"' in sealed(MINIMAL._replace(argsrepr="<\ud800>"))


TEXTS = [
    "",
    "proj.tasks.add",
    "naïve",
    "日本",
    "😀",
    'quote"d',
    "back\\slash",
    "\x00\x1f\x7f\x80\b\f\n\r\t",
    "\u2028\uffff",
]
NUMBERS = [None, 0, 1, -1, 2**62, 0.0, 1.0, 1e16, 1.5e-7, 30, 20.25]
OBJECTS: list[dict[str, Any]] = [
    {},
    {"x": 1},
    {"é": ["😀", None, 1e16]},
    {"task": "other", "stamps": {"s": "t"}},
    {"compression": "z"},
]


def random_message(chance: random.Random) -> Message:
    def text() -> str:
        return "".join(chance.choices(TEXTS, k=chance.randrange(3)))

    def text_or_none() -> str | None:
        return chance.choice([None, text()])

    return Message(
        task=text(),
        id=text(),
        body=chance.randbytes(chance.randrange(50)),
        delivery_tag=text(),
        content_type=text(),
        content_encoding=text(),
        shadow=text_or_none(),
        eta=text_or_none(),
        expires=text_or_none(),
        group=text_or_none(),
        group_index=chance.choice([None, 0, -3, 2**40]),
        retries=chance.choice([0, 1, 2**63 - 1, -(2**63)]),
        hard_limit=chance.choice(
            [*NUMBERS, chance.uniform(-1e3, 1e3), chance.random() * 10.0 ** chance.randrange(-310, 309)]
        ),
        soft_limit=chance.choice(NUMBERS),
        root_id=text_or_none(),
        parent_id=text_or_none(),
        argsrepr=text(),
        kwargsrepr=text(),
        origin=text(),
        ignore_result=chance.choice([None, True, False]),
        replaced_task_nesting=chance.randrange(3),
        stamped_headers=chance.choice([None, [], [text(), text()]]),
        stamps=json.dumps(chance.choice(OBJECTS)).encode(),
        compression=text_or_none(),
        headers=chance.choice([b"", json.dumps(chance.choice(OBJECTS)).encode()]),
        reply_to=text(),
        priority=chance.randrange(10),
        delivery_mode=chance.choice([1, 2]),
        expiration=text_or_none(),
        protocol=chance.choice([1, 2, 2]),
    )


# 100 seeds of 100 messages each: the 10,000 of the promise.
@given(st.integers(0, 2**32 - 1))
@settings(max_examples=100)
def test_ten_thousand_messages_are_written_as_the_oracle_writes_them(seed: int) -> None:
    chance = random.Random(seed)
    messages = [random_message(chance) for _ in range(100)]
    routes = [(chance.choice(TEXTS), chance.choice(TEXTS)) for _ in messages]

    envelopes = _core.seal_envelopes(messages, routes)

    assert envelopes == [seal_envelope(message, *route) for message, route in zip(messages, routes, strict=True)]


# Letters of all kinds, which the few texts above do not have.
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])), st.floats(allow_nan=True), st.binary())
@settings(max_examples=500)
def test_any_text_number_and_body_are_written_as_the_oracle_writes_them(text: str, number: float, body: bytes) -> None:
    message = MINIMAL._replace(task=text, argsrepr=text, stamped_headers=[text], soft_limit=number, body=body)

    assert sealed(message, text, text) == seal_envelope(message, text, text)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=100)
def test_what_was_sealed_opens_again(seed: int) -> None:
    message = random_message(random.Random(seed))._replace(
        headers=b"", eta=None, expires="2030-01-02T03:04:05+00:00", hard_limit=3, soft_limit=2.5, protocol=2
    )

    (opened,) = _core.open_envelopes([sealed(message, "e", "k")])

    assert isinstance(opened, _core.Envelope)
    assert (opened.task, opened.id, opened.body, opened.retries) == (
        message.task,
        message.id,
        message.body,
        message.retries,
    )
    assert (opened.hard_limit, opened.soft_limit, opened.expires) == (3.0, 2.5, 1893553445.0)
    assert (opened.exchange, opened.routing_key, opened.priority) == ("e", "k", message.priority)
