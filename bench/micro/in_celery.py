"""Celery's and Kombu's ways, in an environment of their own: `.venv-celery/bin/python -m bench.micro.in_celery`.

Reads lines of JSON and answers each with one: `["ways"]` → the names; `["value", name]` → what comes out;
`["time", name, seconds]` → nanoseconds of a call. The names are those of the table in `cases.py`.
"""

import json
import sys
from collections.abc import Callable
from typing import Any

from celery import Celery
from celery.app.routes import MapRoute
from celery.app.trace import build_tracer, fast_trace_task, setup_worker_optimizations
from celery.utils.iso8601 import parse_iso8601
from celery.utils.time import rate
from kombu import Connection
from kombu.transport.virtual.exchange import TopicExchange
from kombu.utils.json import dumps, loads
from kombu.utils.limits import TokenBucket
from kombu.utils.uuid import uuid

from bench.micro import inputs
from bench.micro.case import Timed, Way

channel: Any = Connection("memory://").channel()
app = Celery("bench", broker="memory://", backend="disabled://")
bucket = TokenBucket(1e9)
topics = TopicExchange(channel)
HEADERS = json.loads(inputs.ENVELOPE)["headers"] | {"task": inputs.TASK, "id": inputs.TASK_ID}
REQUEST = HEADERS | {"hostname": "celery@bench", "delivery_info": {}, "reply_to": None, "is_eager": False}


@app.task(name=inputs.TASK, ignore_result=True)
def add(x: int, y: int) -> int:
    return x + y


def opened() -> Any:
    return channel.message_to_python(loads(inputs.ENVELOPE.decode()))


def sealed() -> str:
    message = channel.prepare_message(
        inputs.BODY.decode(), 0, "application/json", "utf-8", dict(HEADERS), {"correlation_id": inputs.TASK_ID}
    )
    channel._inplace_augment_message(message, "", "celery")
    return dumps(message)


def routes(rules: list[tuple[str, str]], name: str) -> Callable[[], Any]:
    route = MapRoute({pattern: {"queue": str(n)} for n, (_, pattern) in enumerate(rules)})
    return lambda: route(name)


def traced() -> Any:
    return fast_trace_task(inputs.TASK, inputs.TASK_ID, dict(REQUEST), inputs.BODY, "application/json", "utf-8")


def number(route: Any) -> int:
    return int(route["queue"])


def ways() -> dict[str, Way]:
    app.finalize()
    setup_worker_optimizations(app, "celery@bench")
    add.__trace__ = build_tracer(add.name, add, app.loader, "celery@bench", app=app)
    return {
        "open an envelope": Way("kombu", opened, lambda m: [m.headers["id"], m.headers["task"], m.body.decode()]),
        "seal a message": Way(
            "kombu",
            sealed,
            lambda raw: [json.loads(raw)["headers"]["id"], json.loads(raw)["body"]],
        ),
        "write a body as JSON": Way("kombu", lambda: dumps(inputs.CALL)),
        "write 50 rows as JSON": Way("kombu", lambda: dumps(inputs.ROWS)),
        "read a body": Way("kombu", lambda: loads(inputs.BODY)),
        "read 50 rows": Way("kombu", lambda: loads(inputs.ROWS_TEXT)),
        "parse a time": Way("celery", lambda: parse_iso8601(inputs.TIME), lambda when: when.timestamp()),
        "read a rate": Way("celery", lambda: rate(inputs.RATE)),
        "take a token": Way("kombu", lambda: bucket.can_consume(1)),
        "route by 3 rules": Way("celery", routes(inputs.THREE_RULES, inputs.TASK), number),
        "route by 1,000 globs": Way("celery", routes(inputs.GLOBS, inputs.LAST_GLOB), number),
        "match a topic": Way("kombu", lambda: topics._match(topics.key_to_pattern(inputs.TOPIC), inputs.KEY), bool),
        "make an id": Way("kombu", uuid, len),
        "run a no-op task, results off": Way("celery", traced, lambda got: got[1]),
    }


def main() -> None:
    known = ways()
    timed = {name: Timed(way.step) for name, way in known.items()}
    for line in sys.stdin:
        match json.loads(line):
            case ["ways"]:
                answer: Any = {name: way.by for name, way in known.items()}
            case ["value", name]:
                answer = known[name].value(known[name].step())
            case ["time", name, seconds]:
                answer = timed[name].nanoseconds(seconds)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
