"""Opening envelopes: real ones, odd ones that a worker must run, and anything at all."""

import json
import pickle
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from celery_rs import _core
from celery_rs.wire import copied
from tests.oracles.envelope import Refused, open_envelope

REAL: dict[str, str] = json.loads(Path(__file__).parent.with_name("fixtures").joinpath("envelopes.json").read_text())
PROTOCOL_2 = sorted(name for name, raw in REAL.items() if "task" in json.loads(raw)["headers"])


def opened(raw: bytes | str) -> _core.Envelope:
    envelope = _core.open_envelopes([raw.encode() if isinstance(raw, str) else raw])[0]
    assert isinstance(envelope, _core.Envelope), envelope
    return envelope


def refused(raw: bytes | str) -> str:
    error = _core.open_envelopes([raw.encode() if isinstance(raw, str) else raw])[0]
    assert isinstance(error, _core.DecodeError), error
    return error.reason


def envelope(*, body: str = "e30=", **changes: Any) -> str:
    """A small envelope; `changes` go into the headers, or with a leading `properties_` into the properties."""
    properties: dict[str, Any] = {"body_encoding": "base64", "delivery_info": {"exchange": "e", "routing_key": "k"}}
    headers: dict[str, Any] = {"task": "t", "id": "i"}
    for name, value in changes.items():
        into = properties if name.startswith("properties_") else headers
        into[name.removeprefix("properties_")] = value
    return json.dumps({"body": body, "content-type": "application/json", "headers": headers, "properties": properties})


def values_of(found: _core.Envelope) -> dict[str, Any]:
    names = [name for name in dir(_core.Envelope) if not name.startswith("_") and name != "raw"]
    values = {name: getattr(found, name) for name in names}
    return values | {name: json.loads(values[name]) for name in ("headers", "properties")}


def agrees(raw: bytes, found: _core.Envelope | _core.DecodeError) -> None:
    """The core and the oracle open the same envelopes, and read the same in them."""
    try:
        expected = open_envelope(raw)
    except Refused:
        assert isinstance(found, _core.DecodeError), f"opened {raw!r}"
        assert found.raw is raw
        assert "\n" not in found.reason
        return
    if isinstance(found, _core.DecodeError):
        # The core looks at every value, also at one that a later one of the same key replaces.
        assert has_a_key_twice(raw), f"refused {raw!r}: {found}"
        return
    assert found.raw is raw
    # Compared as text, since a NaN in a stamp does not equal itself.
    assert repr(sorted(values_of(found).items())) == repr(sorted(expected.items()))


def has_a_key_twice(raw: bytes) -> bool:
    twice = False

    def look(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal twice
        twice |= len(dict(pairs)) < len(pairs)
        return dict(pairs)

    json.loads(raw, object_pairs_hook=look)
    return twice


@pytest.mark.parametrize("name", PROTOCOL_2)
def test_envelopes_that_celery_sent_are_read_as_python_reads_them(name: str) -> None:
    raw = REAL[name].encode()

    agrees(raw, opened(raw))


@pytest.mark.parametrize("name", sorted(set(REAL) - set(PROTOCOL_2)))
def test_what_names_no_task_in_its_headers_is_refused_with_the_reason(name: str) -> None:
    assert refused(REAL[name]) == "no 'task' header: not a protocol 2 message"


@pytest.mark.parametrize("name", PROTOCOL_2)
def test_a_real_message_can_be_sent_once_more_as_it_came(name: str) -> None:
    came = opened(REAL[name])

    sent = opened(_core.seal_envelopes([copied(came)], [(came.exchange, came.routing_key)])[0])

    before, after = values_of(came), values_of(sent)
    for values in (before, after):
        values["properties"] = {key: values["properties"].get(key) for key in ("priority", "reply_to", "delivery_mode")}
    assert after == before


@pytest.mark.parametrize(
    ("body", "is_mapping"),
    [
        ("{}", True),
        (' \n{"args": []}', True),
        ("e30=", True),
        ("[[], {}, {}]", False),
        ("", False),
        ("IFtd", False),
    ],
)
def test_a_body_that_is_an_object_is_marked(body: str, is_mapping: bool) -> None:
    encoding = "utf-8" if body.strip()[:1] in ("", "{", "[") else "base64"

    assert opened(envelope(body=body, properties_body_encoding=encoding)).is_mapping is is_mapping


def test_a_batch_keeps_its_order_and_holds_an_error_in_place_of_a_bad_one() -> None:
    batch = [envelope(id="a").encode(), b"rubbish", envelope(id="b").encode()]

    first, second, third = _core.open_envelopes(batch)

    assert isinstance(first, _core.Envelope)
    assert first.id == "a"
    assert isinstance(second, _core.DecodeError)
    assert second.raw is batch[1]
    assert isinstance(third, _core.Envelope)
    assert third.id == "b"


def test_times_are_epoch_seconds_and_limits_are_hard_then_soft() -> None:
    found = opened(envelope(eta="2030-01-02T03:04:05+02:00", expires="2030-01-02T03:04:05", timelimit=[30, 2.5]))

    assert (found.eta, found.expires) == (1893546245.0, 1893553445.0)
    assert (found.hard_limit, found.soft_limit) == (30.0, 2.5)


def test_what_a_sender_leaves_out_has_celerys_defaults() -> None:
    found = opened('{"headers": {"task": "t", "id": "i"}, "body": "[[], {}, null]"}')

    assert found.body == b"[[], {}, null]"
    assert (found.content_type, found.content_encoding) == ("application/data", "utf-8")
    assert (found.retries, found.priority, found.exchange, found.routing_key) == (0, 0, "", "")
    assert (found.eta, found.ignore_result, found.argsrepr, found.properties) == (None, None, "", b"{}")


@pytest.mark.parametrize("header", ["eta", "expires", "retries", "timelimit", "group", "stamps", "argsrepr", "shadow"])
def test_null_stands_for_a_header_that_is_not_there(header: str) -> None:
    changes: dict[str, Any] = {header: None}

    assert values_of(opened(envelope(**changes)))["headers"][header] is None


def test_numbers_that_only_python_writes_do_not_spoil_an_envelope() -> None:
    stamps = {"a": float("nan"), "b": float("-inf"), "c": 10**400}

    assert json.loads(opened(envelope(stamps=stamps)).headers)["stamps"]["c"] == 10**400


def test_a_single_surrogate_is_shown_as_the_replacement_but_refused_in_an_id() -> None:
    assert opened(envelope(argsrepr="('\ud800',)")).argsrepr == "('\N{REPLACEMENT CHARACTER}',)"
    assert (
        refused(envelope(id="\ud800"))
        == "headers.id must be text without single surrogates, got '\N{REPLACEMENT CHARACTER}'"
    )


def test_of_a_key_that_comes_twice_the_last_counts() -> None:
    twice = envelope().replace('"properties": {', '"properties": {"delivery_info": {"exchange": "first", "x": 1}, ')

    assert (
        opened(
            twice.replace('"delivery_info": {"exchange": "e", "routing_key": "k"}', '"delivery_info": null')
        ).exchange
        == ""
    )
    assert opened(twice).exchange == "e"


def test_base64_with_line_breaks_is_read() -> None:
    assert opened(envelope(body="aGVs\r\nbG8=\n")).body == b"hello"


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "not JSON: expected an envelope, which begins with '{', at byte 0"),
        (b"\xff", "not UTF-8 at byte 0"),
        (b'{"headers": {}, "body": ""}', "no 'task' header: not a protocol 2 message"),
        (b'{"headers": {"task": "t"}}', "no 'id' header: not a protocol 2 message"),
        (REAL["task-protocol1"], "no 'task' header: not a protocol 2 message"),
        (b'{"headers": {"task": "t", "id": "i"}}', "body must be text, got nothing"),
        (envelope(eta="soon"), "headers.eta must be ISO 8601 text or null, got 'soon'"),
        (envelope(eta=12), "headers.eta must be ISO 8601 text or null, got 12"),
        (envelope(retries="3"), 'headers.retries must be an integer of 64 bits or null, got "3"'),
        (envelope(timelimit=[1]), "headers.timelimit must be [hard, soft] in seconds or null each, got [1]"),
        (envelope(task=["t"]), 'headers.task must be text or null, got ["t"]'),
        (envelope(body="e30"), "body is not base64: invalid padding"),
        (envelope(properties_body_encoding="hex"), "properties.body_encoding must be 'base64' or 'utf-8', got 'hex'"),
        (envelope() + "x", "not JSON: expected nothing more at byte 188"),
        ('{"a": ' * 200, "JSON nested deeper than 128 levels at byte 774"),
        (envelope(retries="9" * 500), f'headers.retries must be an integer of 64 bits or null, got "{"9" * 79}...'),
    ],
)
def test_an_error_says_where_and_why_in_one_line(raw: bytes | str, reason: str) -> None:
    assert refused(raw) == reason


def test_an_error_survives_pickling() -> None:
    (error,) = _core.open_envelopes([b"{"])
    assert isinstance(error, _core.DecodeError)

    again = pickle.loads(pickle.dumps(error))

    assert isinstance(again, _core.DecodeError)
    assert (again.reason, again.raw, str(again)) == (error.reason, b"{", error.reason)


@given(st.lists(st.binary() | st.text().map(str.encode), max_size=20))
@settings(max_examples=200)
@example([b"{" * 100_000, b"[" * 100_000, b'{"headers": ' + b"[" * 100_000])
def test_any_bytes_are_answered(batch: list[bytes]) -> None:
    for raw, found in zip(batch, _core.open_envelopes(batch), strict=True):
        agrees(raw, found)


# 50 seeds of 2,000 strings each: the 100,000 of the promise.
@given(st.integers(0, 2**32 - 1))
@settings(max_examples=50)
def test_a_hundred_thousand_strings_are_opened_or_refused_as_the_oracle_does(seed: int) -> None:
    chance = random.Random(seed)
    batch = [scrambled(chance) for _ in range(2_000)]

    for raw, found in zip(batch, _core.open_envelopes(batch), strict=True):
        agrees(raw, found)


WORDS = b'{ } [ ] , : " \\ \\u \\ud83d null true NaN -Infinity 1e9 -0 "task" "id" "headers" "eta" "timelimit"'.split()
TOKENS = [*WORDS, b" ", b"\x00", "é".encode(), b"\xed\xa0\x80"]


def scrambled(chance: random.Random) -> bytes:
    """Noise, words of JSON in any order, or a real envelope with a few wounds."""
    kind = chance.random()
    if kind < 0.1:
        return chance.randbytes(chance.randrange(200))
    if kind < 0.2:
        return b"".join(chance.choices(TOKENS, k=chance.randrange(40)))
    raw = bytearray(REAL[chance.choice(PROTOCOL_2)].encode())
    for _ in range(chance.randrange(1, 4)):
        wound(raw, chance)
    return bytes(raw)


def wound(raw: bytearray, chance: random.Random) -> None:
    at, length = chance.randrange(len(raw) + 1), chance.choice([0, 0, 1, 1, 2, 8, 100])
    match chance.randrange(5):
        case 0:
            raw[at : at + length] = chance.choice(TOKENS)
        case 1:
            raw[at : at + 1] = bytes([chance.randrange(256)])
        case 2:
            del raw[at : at + length]
        case 3:
            raw[at:at] = raw[at : at + length]
        case _:
            for value in (b"null", b"{}", b"[1, 2]"):
                place = raw.find(value, at)
                if place >= 0:
                    raw[place : place + len(value)] = chance.choice(TOKENS)
