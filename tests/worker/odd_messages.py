"""Envelopes that no client should have sent, by what must become of each.

A row is a name and the envelope, whose task's id is `ID`; `raw_of` gives it an id of its own.
"""

import base64
import json
from typing import Any

ID = "the-id-of-this-row"
ADD = "tests.worker.proj.add"
BODY = [[1, 2], {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}]
GONE: Any = object()
"""In place of a value: leave it out."""


def encoded(body: Any) -> str:
    return base64.b64encode(body if isinstance(body, bytes) else json.dumps(body).encode()).decode()


def envelope(
    body: Any = BODY, *, top: Any = (), headers: Any = (), properties: Any = (), route: Any = ()
) -> dict[str, Any]:
    """A call of add(1, 2) as Celery sends it, but for what is said."""
    base: dict[str, Any] = {
        "body": encoded(body),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": _with({"lang": "py", "task": ADD, "id": ID, "retries": 0, "timelimit": [None, None]}, headers),
        "properties": _with(
            {
                "correlation_id": ID,
                "reply_to": "r",
                "delivery_mode": 2,
                "delivery_info": _with({"exchange": "", "routing_key": "celery"}, route),
                "priority": 0,
                "body_encoding": "base64",
                "delivery_tag": "tag",
            },
            properties,
        ),
    }
    return _with(base, top)


def _with(base: dict[str, Any], changes: Any) -> dict[str, Any]:
    return {name: value for name, value in {**base, **dict(changes)}.items() if value is not GONE}


def text(body: Any) -> dict[str, Any]:
    """As `envelope`, the body being plain text."""
    return envelope(top={"body": json.dumps(body)}, properties={"body_encoding": GONE})


def raw_of(row: dict[str, Any], id: str) -> bytes:
    """The row's envelope for the task of that id."""
    changed = dict(row)
    try:
        body = base64.b64decode(row["body"], validate=True)
        if ID.encode() in body:
            changed["body"] = encoded(body.replace(ID.encode(), id.encode()))
    except (KeyError, TypeError, ValueError):
        pass  # a row about bodies that are none
    return json.dumps(changed).replace(ID, id).encode()


OLD = {"task": ADD, "id": ID, "args": [1, 2], "kwargs": {}}
PICKLE = "application/x-python-serialize"
DEEP = b"[" * 100_000

RUNS: dict[str, Any] = {
    "only a task and an id": {
        "headers": {"task": ADD, "id": ID},
        "body": json.dumps(BODY),
        "content-type": "application/json",
    },
    "a body of plain text": text(BODY),
    "an unknown text encoding": envelope(top={"content-encoding": "utf-7"}),
    "headers of somebody's own": envelope(headers={"x-own": [1, {"a": None}], "timelimit": None, "retries": GONE}),
    "stamps that are not listed": envelope(headers={"stamps": {"monitor": 1}}),
    "no options in the body": envelope([[1, 2], {}, None]),
    "empty options in the body": envelope([[1, 2], {}, {}]),
    "empty texts for times": envelope(headers={"eta": "", "expires": ""}),
    "no limits": envelope(headers={"timelimit": []}),
    "no delivery tag": envelope(properties={"delivery_tag": GONE}),
    "no delivery info": envelope(properties={"delivery_info": GONE}),
    "no exchange and no key": envelope(route={"exchange": GONE, "routing_key": GONE}),
    "delivery info that is a list": envelope(properties={"delivery_info": []}),
    "a priority nobody has": envelope(properties={"priority": 10**6}),
    "numbers that are no JSON": envelope(headers={"x-nan": float("nan"), "x-inf": float("-inf")}),
    "a huge number": envelope(headers={"x-huge": 10**400}),
    "keys in whatever order": dict(reversed(envelope().items())),
    "protocol 1": envelope(OLD, top={"headers": {}}),
    "protocol 1 without kwargs": envelope({"task": ADD, "id": ID, "args": [1, 2]}, top={"headers": {}}),
    "half-way": envelope({"args": [1, 2], "kwargs": {}}),
}
"""These run, as they do with Celery or, where Celery loses them, nevertheless."""

FAILS: dict[str, Any] = {
    "a task nobody knows": envelope(headers={"task": "proj.unknown"}),
    "a task that is a number": envelope(headers={"task": 5}),
    "no task": envelope(headers={"task": GONE}),
    "an id that is a number": envelope(headers={"id": 5}),
    "no id in the headers": envelope(headers={"id": None}),
    "headers that are a list": envelope(top={"headers": []}),
    "no headers": envelope(top={"headers": GONE}),
    "a body of two": envelope([[1, 2], {}]),
    "a body of four": envelope([*BODY, 4]),
    "a body that is a number": envelope(5),
    "a body that is no JSON": envelope(b"{not json"),
    "a body of nothing": envelope(b""),
    "a body of NUL bytes": envelope(b"\0\0\0"),
    "a body that is nested too deeply": envelope(DEEP),
    "a body that is no text": envelope(b"\xff\xfe"),
    "no body": envelope(top={"body": GONE}),
    "a body that is not there": envelope(top={"body": None}),
    "a body that is an object": envelope(top={"body": {}}),
    "kwargs that are null": envelope([[1, 2], None, {}]),
    "kwargs that are a list": envelope([[1, 2], [], {}]),
    "args that are null": envelope([None, {}, {}]),
    "args that are text": envelope(["12", {}, {}]),
    "options that are text": envelope([[1, 2], {}, "x"]),
    "links that are no signatures": envelope([[1, 2], {}, {"callbacks": [5]}]),
    "a value of an unknown kind": envelope([[{"__type__": "no-such", "__value__": 1}, 2], {}, {}]),
    "no content type": envelope(top={"content-type": GONE}),
    "a content type that is a number": envelope(top={"content-type": 5}),
    "a content type nobody knows": envelope(top={"content-type": "application/x-nothing"}),
    "a content type that is refused": envelope(b"\x80\x04N.", top={"content-type": PICKLE}),
    "an encoding that is a number": envelope(top={"content-encoding": 8}),
    "an eta that is no time": envelope(headers={"eta": "tomorrow"}),
    "an eta that is a number": envelope(headers={"eta": 1800000000}),
    "an expiry that is a list": envelope(headers={"expires": [1]}),
    "base64 that is none": envelope(top={"body": "%%%"}),
    "base64 that is cut": envelope(top={"body": "W1sxLCAyXSwge30sIHt9X"}),
    "a body encoding nobody knows": envelope(properties={"body_encoding": "rot13"}),
    "a body encoding that is a number": envelope(properties={"body_encoding": 64}),
    "retries without end": envelope(headers={"retries": 10**30}),
    "half a retry": envelope(headers={"retries": 0.5}),
    "retries in words": envelope(headers={"retries": "two"}),
    "limits in words": envelope(headers={"timelimit": "soon"}),
    "limits below zero": envelope(headers={"timelimit": [-1, None]}),
    "one limit": envelope(headers={"timelimit": [1]}),
    "a flag in words": envelope(headers={"ignore_result": "no"}),
    "a group that is a number": envelope(headers={"group": 7}),
    "a root that is a list": envelope(headers={"root_id": []}),
    "a shadow that is an object": envelope(headers={"shadow": {}}),
    "arguments shown as a list": envelope(headers={"argsrepr": [1, 2]}),
    "a compression nobody knows": envelope(headers={"compression": "application/x-tar"}),
    "a compression that is a number": envelope(headers={"compression": 5}),
    "a compressed body that is not": envelope(headers={"compression": "application/x-gzip"}),
    "properties that are a list": envelope(top={"properties": []}),
    "a priority in words": envelope(properties={"priority": "high"}),
    "a priority without end": envelope(properties={"priority": 10**30}),
    "a reply queue that is a number": envelope(properties={"reply_to": 5}),
    "a text with half a character": envelope(headers={"group": "\ud800"}),
    "protocol 1 without a task": envelope({"id": ID}, top={"headers": {}}),
    "protocol 1 with args that are text": envelope(OLD | {"args": "12"}, top={"headers": {}}),
    "protocol 1 with an eta that is no time": envelope(OLD | {"eta": "tomorrow"}, top={"headers": {}}),
    "protocol 1 of a refused type": envelope(b"\x80\x04}.", top={"headers": {}, "content-type": PICKLE}),
}
"""These cannot run: their callers are told, and the messages kept."""

BURIED: dict[str, bytes] = {
    "nothing": b"",
    "a NUL byte": b"\0",
    "text": b"hello",
    "text in quotes": b'"hello"',
    "a number": b"5",
    "null": b"null",
    "a list": b"[1, 2]",
    "an empty object": b"{}",
    "half an envelope": b'{"body": "W10=", "headers": {"task": "t"',
    "two envelopes": b"{} {}",
    "a NUL byte between the keys": b'{"body": "W10=",\0 "headers": {}}',
    "bytes that are no text": b'{"body": "\xff\xfe"}',
    "brackets without end": b'{"headers":' + b"[" * 100_000,
    "a task without any id": json.dumps({"headers": {"task": ADD}, "body": "[]"}).encode(),
    "a number of very many digits": b"9" * 50_000,
}
"""Nobody knows whose these are; they are kept all the same."""


def twice(id: str) -> bytes:
    """An envelope of which keys come twice: the last counts, as in Python."""
    headers = f'{{"task": "no", "task": "{ADD}", "id": "no", "id": "{id}"}}'
    return raw_of(envelope(top={"headers": "HEADERS"}), id).replace(b'"HEADERS"', headers.encode())
