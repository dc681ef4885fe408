"""The table: each function of the Rust core beside its oracle in Python and the library that it replaces.

"oracle" is the plain Python that the tests compare with, "Python" what one would write instead where that is less.
What lives in Celery is in `in_celery.py`, by the same names.
"""

import base64
import json
import mmap
import re
import struct
import time
from collections.abc import Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from itertools import count
from typing import Any
from uuid import uuid4

import hiredis
import orjson
import pika.frame
import pika.spec

from bench.micro import child, inputs
from bench.micro.case import Case, Way
from bench.micro.inputs import BATCH, BODY, CALL, ENVELOPE, ROWS
from celery_rs import _core
from celery_rs.serializers import JSON
from celery_rs.serializers.tags import TAGS
from celery_rs.wire import Message, new_id
from celery_rs.wire.meta import instant
from tests.oracles import amqp, envelope, routes
from tests.oracles.rate import parse_rate
from tests.oracles.timestamp import timestamp

MESSAGE = Message(inputs.TASK, inputs.TASK_ID, BODY, inputs.TASK_ID, argsrepr="(2, 2)")
ROUTE = ("", "celery")
PYTHON_JSON = json.JSONEncoder(default=TAGS.replace).encode
UNUSUAL = re.compile(rb'\d{19}|"__type__"')
PROPERTIES, CONTENT = _core.amqp_of_envelope(_core.seal_envelopes([MESSAGE], [ROUTE])[0])
LARGE = json.dumps(json.loads(ENVELOPE) | {"body": base64.b64encode(inputs.LARGE).decode()}).encode()
DELIVERY = amqp.delivery(1, "worker", 1, False, "", "celery") + amqp.content(1, PROPERTIES, CONTENT, ())
WORDS: Any = (b"LPUSH", "celery", ENVELOPE)


def cases() -> Sequence[Case]:
    return [*messages(), *values(), *decisions(), *on_rabbitmq(), *on_redis(), *in_the_child()]


def messages() -> list[Case]:
    return [
        Case(
            "open an envelope",
            [
                Way("Rust", lambda: look_at(_core.open_envelopes([ENVELOPE])[0]), essence),
                Way("oracle", lambda: envelope.open_envelope(ENVELOPE), essence),
            ],
        ),
        Case(
            f"open {BATCH} envelopes",
            [
                Way("Rust", lambda: list(map(look_at, _core.open_envelopes([ENVELOPE] * BATCH))), len),
                Way("oracle", lambda: [envelope.open_envelope(ENVELOPE) for _ in range(BATCH)], len),
            ],
            BATCH,
        ),
        Case(
            "open an envelope of 100 KB",
            [
                Way("Rust", lambda: look_at(_core.open_envelopes([LARGE])[0])["body"].decode()),
                Way("oracle", lambda: envelope.open_envelope(LARGE)["body"].decode()),
            ],
        ),
        Case(
            "seal a message",
            [
                Way("Rust", lambda: _core.seal_envelopes([MESSAGE], [ROUTE])[0], sealed),
                Way("oracle", lambda: envelope.seal_envelope(MESSAGE, *ROUTE), sealed),
            ],
        ),
        Case(
            f"seal {BATCH} messages",
            [
                Way("Rust", lambda: _core.seal_envelopes([MESSAGE] * BATCH, [ROUTE] * BATCH), len),
                Way("oracle", lambda: [envelope.seal_envelope(MESSAGE, *ROUTE) for _ in range(BATCH)], len),
            ],
            BATCH,
        ),
        Case("make an id", [Way("Rust", new_id, len), Way("uuid", lambda: str(uuid4()), len)]),
    ]


def values() -> list[Case]:
    return [
        Case(
            "write a body as JSON",
            [
                Way("Rust", lambda: JSON.dumps(CALL), bytes.decode),
                Way("json", lambda: PYTHON_JSON(CALL)),
                Way("orjson", lambda: orjson.dumps(CALL), respaced),
            ],
        ),
        Case(
            "write 50 rows as JSON",
            [
                Way("Rust", lambda: JSON.dumps(ROWS), bytes.decode),
                Way("json", lambda: PYTHON_JSON(ROWS)),
                Way("orjson", lambda: orjson.dumps(ROWS), respaced),
            ],
        ),
        Case(
            "read a body",
            [
                Way("Rust and orjson", lambda: JSON.loads(BODY)),
                Way("json", lambda: json.loads(BODY)),
                Way("orjson", lambda: orjson.loads(BODY)),
            ],
        ),
        Case(
            "read 50 rows",
            [
                Way("Rust and orjson", lambda: JSON.loads(inputs.ROWS_TEXT)),
                Way("json", lambda: json.loads(inputs.ROWS_TEXT)),
                Way("orjson", lambda: orjson.loads(inputs.ROWS_TEXT)),
            ],
        ),
        Case(
            "look for what orjson reads differently",
            [
                Way("Rust", lambda: _core.is_plain_json(inputs.ROWS_TEXT)),
                Way("re", lambda: UNUSUAL.search(inputs.ROWS_TEXT) is None),
            ],
        ),
        Case(
            "parse a time",
            [
                Way("Rust", lambda: _core.parse_timestamp(inputs.TIME)),
                Way("oracle", lambda: timestamp(inputs.TIME)),
                Way("datetime", lambda: datetime.fromisoformat(inputs.TIME).timestamp()),
            ],
        ),
        Case(
            "write a time",
            [
                Way("Rust", lambda: _core.write_timestamp(1795352211.774076)),
                Way("datetime", lambda: instant(1795352211.774076).isoformat()),
            ],
        ),
    ]


def decisions() -> list[Case]:
    three, globs = _core.RouteTable(inputs.THREE_RULES), _core.RouteTable(inputs.GLOBS)
    number = count()
    limiter = _core.RateLimiter()
    limiter.set(inputs.TASK, 1e9, 0.0)
    bucket = Bucket(1e9)
    memory = mmap.mmap(-1, _core.PoolPage.SIZE)
    page = _core.PoolPage(mmap.mmap(-1, _core.PoolPage.SIZE))
    return [
        Case(
            "read a rate",
            [
                Way("Rust", lambda: _core.parse_rate(inputs.RATE)),
                Way("oracle", lambda: parse_rate(inputs.RATE)),
            ],
        ),
        Case(
            "take a token",
            [
                Way("Rust", lambda: limiter.take(inputs.TASK, time.monotonic()) == 0),
                Way("Python", lambda: bucket.take(time.monotonic())),
            ],
        ),
        Case(
            "route by 3 rules",
            [
                Way("Rust", lambda: three.lookup(inputs.TASK)),
                Way("oracle", lambda: routes.lookup(inputs.THREE_RULES, inputs.TASK)),
                Way("fnmatch", lambda: first(inputs.THREE_RULES, inputs.TASK)),
            ],
        ),
        Case(
            "route by 1,000 globs",
            [
                Way("Rust", lambda: globs.lookup(inputs.LAST_GLOB)),
                Way("oracle", lambda: routes.lookup(inputs.GLOBS, inputs.LAST_GLOB)),
                Way("fnmatch", lambda: first(inputs.GLOBS, inputs.LAST_GLOB)),
            ],
        ),
        Case(
            "route a new name by 1,000 globs",  # the core remembers the names it has seen
            [
                Way("Rust", lambda: globs.lookup(f"proj.part999.{next(number)}")),
                Way("fnmatch", lambda: first(inputs.GLOBS, f"proj.part999.{next(number)}")),
            ],
        ),
        Case(
            "match a topic",
            [
                Way("Rust", lambda: _core.topic_matches(inputs.TOPIC, inputs.KEY)),
                Way("oracle", lambda: routes.topic_matches(inputs.TOPIC, inputs.KEY)),
            ],
        ),
        Case(
            "a job's calls of the page",
            [Way("Rust", lambda: job(page), len), Way("struct", lambda: job_by_struct(memory), len)],
        ),
    ]


def on_rabbitmq() -> list[Case]:
    reader = _core.FrameReader()
    reader.feed(DELIVERY)
    batch = DELIVERY * BATCH
    arguments = ([MESSAGE], [ROUTE], 1, 131072, True)
    return [
        Case(
            f"split {BATCH} deliveries",
            [
                Way("Rust", lambda: [item[-1].decode() for item in reader.feed(batch)]),
                Way("pika", lambda: bodies(batch)),
            ],
            BATCH,
        ),
        Case(
            "publish: a message's frames",
            [
                Way("Rust", lambda: _core.amqp_publishes(*arguments)[0], bodies),
                Way("pika", pika_publishes, bodies),
            ],
        ),
        Case(
            "read the headers of a delivery",
            [
                Way("Rust", lambda: _core.amqp_headers(PROPERTIES)),
                Way("pika", lambda: pika.spec.BasicProperties().decode(PROPERTIES).headers),
            ],
        ),
    ]


def on_redis() -> list[Case]:
    return [
        Case(
            "write a command",
            [
                Way("Rust", lambda: _core.pack_command(b"LPUSH", "celery", ENVELOPE), bytes.decode),
                Way("hiredis", lambda: hiredis.pack_command(WORDS), bytes.decode),
                Way("Python", lambda: packed(WORDS), bytes.decode),
            ],
        ),
    ]


def in_the_child() -> list[Case]:
    return [
        Case(
            "run a no-op task, results off", [Way("a child", child.drained_batch(stored=False), child.text_of)], BATCH
        ),
        Case("run a no-op task, stored", [Way("a child", child.drained_batch(stored=True), child.text_of)], BATCH),
    ]


# what is compared, and what one would write


def look_at(opened: _core.Envelope | _core.DecodeError) -> dict[str, Any]:
    """What a worker asks of every envelope."""
    assert isinstance(opened, _core.Envelope)
    return {
        "id": opened.id, "task": opened.task, "eta": opened.eta, "expires": opened.expires, "retries": opened.retries,
        "soft_limit": opened.soft_limit, "hard_limit": opened.hard_limit, "ignore_result": opened.ignore_result,
        "body": opened.body, "headers": opened.headers,
    }  # fmt: skip


def essence(opened: dict[str, Any]) -> list[str]:
    return [opened["id"], opened["task"], opened["body"].decode()]


def sealed(raw: bytes) -> list[str]:
    read = json.loads(raw)
    return [read["headers"]["id"], read["body"]]


def respaced(raw: bytes) -> str:
    return PYTHON_JSON(orjson.loads(raw))


def first(rules: Sequence[tuple[str, str]], name: str) -> int | None:
    return next((n for n, (_, pattern) in enumerate(rules) if fnmatchcase(name, pattern)), None)


class Bucket:
    def __init__(self, rate: float) -> None:
        self._rate, self._tokens, self._seen = rate, 1.0, 0.0

    def take(self, now: float) -> bool:
        self._tokens = min(1.0, self._tokens + (now - self._seen) * self._rate)
        self._seen = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


OUTCOME = bytes(200)
WORD_PAIR = struct.Struct("<Qd")


def job(page: Any) -> list[bytes]:
    number = page.started() + 1
    page.allow(number)
    page.start(number, 0.0)
    page.push(OUTCOME)
    page.finish(number)
    taken: list[bytes] = page.drain()
    return taken


def job_by_struct(memory: mmap.mmap) -> list[bytes]:
    """As much written and read, without any of what makes it safe between two processes."""
    for _ in range(5):
        WORD_PAIR.pack_into(memory, 0, 1, 0.0)
    memory[64 : 64 + len(OUTCOME)] = OUTCOME
    return [memory[64 : 64 + len(OUTCOME)]]


def bodies(frames: bytes) -> list[str]:
    found = []
    while frames:
        taken, read = pika.frame.decode_frame(frames)
        frames = frames[taken:]
        if isinstance(read, pika.frame.Body):
            found.append(read.fragment.decode())
    return found


def pika_publishes() -> bytes:
    properties = pika.spec.BasicProperties().decode(PROPERTIES)
    method = pika.spec.Basic.Publish(exchange="", routing_key="celery", mandatory=True)
    frames = (
        pika.frame.Method(1, method),
        pika.frame.Header(1, len(CONTENT), properties),
        pika.frame.Body(1, CONTENT),
    )
    return b"".join(each.marshal() for each in frames)


def packed(words: Sequence[bytes | str]) -> bytes:
    out = [b"*%d\r\n" % len(words)]
    for word in words:
        raw = word.encode() if isinstance(word, str) else word
        out.append(b"$%d\r\n%b\r\n" % (len(raw), raw))
    return b"".join(out)
