"""AMQP messages that no client should have sent, by what must become of each: properties and body.

Beside what an envelope can say wrongly (`odd_messages`), AMQP has types of its own in its headers, properties that may
all be missing, and bodies of any bytes. `ID` is the id of a row's task; `of` gives it one of its own.
"""

import json
import struct
from typing import Any, NamedTuple

from tests.worker.odd_messages import ADD, BODY, DEEP, GONE, PICKLE

ID = "00000000-0000-0000-0000-000000000000"
JSON = json.dumps(BODY).encode()


class Field(NamedTuple):
    """A header as it goes over the wire: its type's letter, then its bytes."""

    letter: str
    content: bytes


class Content(NamedTuple):
    properties: bytes
    body: bytes

    def of(self, id: str) -> "Content":
        """For the task of that id, which is as long."""
        assert len(id) == len(ID)
        return Content(*(part.replace(ID.encode(), id.encode()) for part in self))


_ORDER = {
    "content_type": "s", "content_encoding": "s", "headers": "F", "delivery_mode": "B", "priority": "B",
    "correlation_id": "s", "reply_to": "s", "expiration": "s", "message_id": "s", "timestamp": "T", "type": "s",
    "user_id": "s", "app_id": "s", "cluster_id": "s",
}  # fmt: skip
"""Properties as AMQP numbers them, from the highest flag down, each with its type."""


def content(body: bytes = JSON, headers: Any = (), **properties: Any) -> Content:
    """A call of add(1, 2) as Celery sends it, but for what is said."""
    said: dict[str, Any] = {
        "content_type": "application/json",
        "content_encoding": "utf-8",
        "headers": {"lang": "py", "task": ADD, "id": ID, "retries": 0, "timelimit": [None, None]} | dict(headers),
        "delivery_mode": 2,
        "priority": 0,
        "correlation_id": ID,
        "reply_to": "r",
    }
    return bare(body, **{name: value for name, value in (said | properties).items() if value is not GONE})


def bare(body: bytes, **properties: Any) -> Content:
    """A message with these properties only."""
    flags = sum(1 << (15 - place) for place, name in enumerate(_ORDER) if name in properties)
    fields = [_property(_ORDER[name], properties[name]) for name in _ORDER if name in properties]
    return Content(b"".join([struct.pack(">H", flags), *fields]), body)


def _property(letter: str, value: Any) -> bytes:
    if letter == "s":
        return _short(value)
    if letter == "F":
        return _table(value)
    return struct.pack(">B" if letter == "B" else ">Q", value)


def _short(text: str) -> bytes:
    return bytes([len(text.encode())]) + text.encode()


def _long(content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + content


def _table(values: dict[str, Any]) -> bytes:
    return _long(b"".join(_short(name) + _value(value) for name, value in values.items() if value is not GONE))


def _value(value: Any) -> bytes:
    match value:
        case Field():
            return value.letter.encode() + value.content
        case None:
            return b"V"
        case bool():
            return b"t" + bytes([value])
        case int():
            return b"l" + struct.pack(">q", value)
        case float():
            return b"d" + struct.pack(">d", value)
        case str():
            return b"S" + _long(value.encode())
        case bytes():
            return b"x" + _long(value)
        case dict():
            return b"F" + _table(value)
        case list():
            return b"A" + _long(b"".join(map(_value, value)))
    raise TypeError(value)


FIELDS = {
    "t": b"\1", "b": b"\xff", "B": b"\xff", "s": b"\xff\xfe", "u": b"\xff\xfe", "I": b"\xff" * 4, "i": b"\xff" * 4,
    "l": b"\xff" * 8, "f": struct.pack(">f", 1.5), "d": struct.pack(">d", 2.5), "D": b"\2\xff\xff\xff\xfe",
    "S": _long(b"\xff not text"), "A": _long(b"VV"), "T": b"\0" * 7 + b"\1", "F": _table({"a": None}), "V": b"",
    "x": _long(b"\0\xff"),
}  # fmt: skip
"""Every type of RabbitMQ's tables, by its letter. A NaN closes the sender's channel there."""

OLD = json.dumps({"task": ADD, "id": ID, "args": [1, 2], "kwargs": {}}).encode()

RUNS: dict[str, Content] = {
    "only a task and an id": bare(JSON, content_type="application/json", headers={"task": ADD, "id": ID}),
    **{f"a header of type {letter}": content(headers={"x-own": Field(letter, raw)}) for letter, raw in FIELDS.items()},
    "every type in a list in a table": content(headers={"x-own": {"all": [Field(*each) for each in FIELDS.items()]}}),
    "tables in tables": content(headers={"x-own": {"a": {"b": {"c": [[[{"d": {}}]]]}}}}),
    "a header without a name": content(headers={"": 1}),
    "four thousand headers": content(headers={f"x-{number}": number for number in range(4_000)}),
    "a header of 100 KB": content(headers={"x-own": "x" * 100_000}),
    "retries in one byte": content(headers={"retries": Field("b", b"\0")}),
    "retries up to the last number": content(headers={"retries": Field("l", b"\x7f" + b"\xff" * 7)}),
    "every property": content(
        expiration="600000", message_id="m", timestamp=1, type="t", user_id="guest", app_id="a", cluster_id="c"
    ),
    "properties that are empty": content(content_encoding="", reply_to=""),
    "a priority of 255": content(priority=255),
    "an encoding nobody knows": content(content_encoding="no-such"),
    "no encoding": content(content_encoding=GONE),
    "no delivery mode, no priority": content(delivery_mode=GONE, priority=GONE),
    "no correlation id": content(correlation_id=GONE),
    "protocol 1": content(OLD, headers=dict.fromkeys(("task", "id", "retries", "timelimit"), GONE)),
    "protocol 1 without headers": bare(OLD, content_type="application/json"),
    "spaces of 8 MB": content(JSON + b" " * (8 << 20)),
}
"""These run, as they do with Celery or, where Celery loses them, nevertheless."""

FAILS: dict[str, Content] = {
    "a task nobody knows": content(headers={"task": "proj.unknown"}),
    "a task of bytes that are no text": content(headers={"task": Field("S", _long(b"\xff\xfe"))}),
    "a task that is a time": content(headers={"task": Field("T", b"\0" * 8)}),
    "no headers": bare(JSON, content_type="application/json", correlation_id=ID),
    "no content type": content(content_type=GONE),
    "a content type nobody knows": content(content_type="application/x-nothing"),
    "a content type that is refused": content(b"\x80\x04N.", content_type=PICKLE, content_encoding="binary"),
    "an empty body": content(b""),
    "a body of NUL bytes": content(b"\0\0\0"),
    "a body that is no text": content(b"\xff\xfe"),
    "a body that is nested too deeply": content(DEEP),
    "a body of 8 MB that is no JSON": content(b"\xff" * (8 << 20)),
    "an eta of AMQP's own type": content(headers={"eta": Field("T", b"\0" * 8)}),
    "retries in a fraction": content(headers={"retries": Field("D", b"\1\0\0\0\5")}),
    "limits in words": content(headers={"timelimit": "soon"}),
    "a group that is a number": content(headers={"group": 7}),
    "a compression nobody knows": content(headers={"compression": "application/x-tar"}),
}
"""These cannot run: their callers are told, and the messages kept."""

BURIED: dict[str, Content] = {
    "nothing at all": bare(b""),
    "bytes": bare(b"\0\xff\xfe"),
    "text": bare(b"hello", content_type="text/plain"),
    "JSON that is no call": bare(b"[1, 2]", content_type="application/json"),
    "an envelope of Kombu's other transports": bare(b'{"body": "W10=", "headers": {"task": "t"}}'),
    "a task without any id": bare(JSON, content_type="application/json", headers={"task": ADD}),
    "8 MB of nothing": bare(b"\0" * (8 << 20)),
}
"""Nobody knows whose these are; they are kept all the same."""
