"""AMQP 0-9-1 said with Python's own `struct`: frames, property lists and header tables."""

import struct
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

TEXTS = {
    15: "content_type", 14: "content_encoding", 10: "correlation_id", 9: "reply_to", 8: "expiration",
    7: "message_id", 5: "type", 4: "user_id", 3: "app_id", 2: "cluster_id",
}  # fmt: skip


class Field(NamedTuple):
    """A value with the type that it is written with."""

    kind: str
    value: Any


FIXED = {
    "b": ">b", "B": ">B", "s": ">h", "u": ">H", "I": ">i", "i": ">I", "l": ">q", "L": ">q", "f": ">f", "d": ">d",
    "T": ">Q", "t": ">?",
}  # fmt: skip


def field(each: Field) -> bytes:
    kind, value = each
    code = kind.encode()
    if kind in FIXED:
        return code + struct.pack(FIXED[kind], value)
    match kind:
        case "V":
            return code
        case "D":
            return code + struct.pack(">Bi", *value)
        case "S":
            return code + long_string(value.encode())
        case "x":
            return code + long_string(value)
        case "A":
            return code + long_string(b"".join(map(field, value)))
        case _:
            return code + table(value)


def table(members: Mapping[str, Field]) -> bytes:
    return long_string(b"".join(short_string(name) + field(value) for name, value in members.items()))


def short_string(text: str) -> bytes:
    raw = text.encode()
    return bytes([len(raw)]) + raw


def long_string(raw: bytes) -> bytes:
    return struct.pack(">I", len(raw)) + raw


def meaning(each: Field) -> Any:
    """The value as `amqp_headers` gives it."""
    kind, value = each
    match kind:
        case "V":
            return None
        case "f":
            return struct.unpack(">f", struct.pack(">f", value))[0]
        case "D":
            scale, digits = value
            return digits / 10.0**scale
        case "A":
            return [meaning(item) for item in value]
        case "F":
            return {name: meaning(item) for name, item in value.items()}
        case _:
            return value


def properties(headers: Mapping[str, Field] | None = None, mode: int | None = None, **texts: str) -> bytes:
    """As they stand in a content header."""
    flags, out = 0, b""
    for bit in range(15, 1, -1):
        if bit == 13 and headers is not None:
            flags, out = flags | 1 << bit, out + table(headers)
        elif bit == 12 and mode is not None:
            flags, out = flags | 1 << bit, out + bytes([mode])
        elif TEXTS.get(bit) in texts:
            flags, out = flags | 1 << bit, out + short_string(texts[TEXTS[bit]])
    return struct.pack(">H", flags) + out


def frame(kind: int, channel: int, payload: bytes) -> bytes:
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + b"\xce"


def content(channel: int, properties: bytes, body: bytes, sizes: Sequence[int]) -> bytes:
    """A content header, and the body in frames of these sizes and a last one."""
    out = frame(2, channel, struct.pack(">HHQ", 60, 0, len(body)) + properties)
    for size in sizes:
        if body:
            out, body = out + frame(3, channel, body[:size]), body[size:]
    return out + (frame(3, channel, body) if body else b"")


def delivery(channel: int, consumer: str, tag: int, redelivered: bool, exchange: str, key: str) -> bytes:
    """The method in front of a delivered message."""
    arguments = (
        short_string(consumer) + struct.pack(">QB", tag, redelivered) + short_string(exchange) + short_string(key)
    )
    return frame(1, channel, struct.pack(">HH", 60, 60) + arguments)
