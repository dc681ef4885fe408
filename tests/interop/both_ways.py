"""The table of calls that must mean the same whoever sends and whoever runs them, and the project they belong to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

PROJECT = """
import enum
import json
import os
import signal
import time
from datetime import UTC, date, datetime, timedelta
from datetime import time as day_time
from decimal import Decimal
from uuid import UUID

from {package} import Celery
from {package}.exceptions import Reject, SoftTimeLimitExceeded

if "{package}" == "celery":
    from kombu import Exchange, Queue
else:
    from celery_rs import Exchange, Queue

app = Celery("proj")
SETTINGS = json.loads(os.environ["PROJ_SETTINGS"])
ARGUMENTS = SETTINGS.pop("queue_arguments", None)
app.conf.update(SETTINGS)
app.conf.task_queues = [
    Queue("celery", queue_arguments=ARGUMENTS),
    Queue("other", queue_arguments=ARGUMENTS),
    Queue("logs", Exchange("logs", type="topic"), routing_key="logs.*.full", queue_arguments=ARGUMENTS),
]
SHARED = os.path.dirname(os.environ["PROJ_FOLDER"])


def journal(*words):
    line = " ".join(map(str, words)) + "\\n"
    file = os.open(os.path.join(SHARED, "journal"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(file, line.encode())
    os.close(file)


def wait_for_file(name):
    while not os.path.exists(os.path.join(SHARED, name)):
        time.sleep(0.01)


@app.task(bind=True)
def show(self, *args, **kwargs):
    '''What a task sees of its call. What differs from call to call is told as whether it is as it should be.'''
    request = self.request
    journal("show", request.id)
    where = request.delivery_info
    # A hundredth of a second for clocks that round.
    on_time = not request.eta or time.time() + 0.01 >= datetime.fromisoformat(request.eta).timestamp()
    return {
        "args": repr(args),
        "kwargs": repr(kwargs),
        "on_time": on_time,
        "has_eta": request.eta is not None,
        "expires": request.expires is not None,
        "priority": where.get("priority"),
        "exchange": where.get("exchange"),
        "routing_key": where.get("routing_key"),
        "redelivered": bool(where.get("redelivered")),
        "tenant": (request.headers or {}).get("tenant"),
        "tenant_attribute": getattr(request, "tenant", None),
        "timelimit": list(request.timelimit or ()),
        "retries": request.retries,
        "group": request.group,
        "group_index": request.group_index,
        "root_id": request.root_id,
        "parent_id": request.parent_id,
        "shadow": request.shadow,
        "correlated": request.correlation_id == request.id,
        "has_reply_to": bool(request.reply_to),
        "origin": (request.origin or "")[:3],
        "ignores": request.ignore_result,
    }


@app.task
def echo(value):
    return value


@app.task
def mourn(failed):
    return failed


@app.task
def fail():
    raise ValueError("boom", 1)


class Odd(Exception):
    def __init__(self, one, two):
        super().__init__(f"odd {one} {two}")


@app.task
def fail_oddly():
    raise Odd(1, 2)


@app.task(bind=True, max_retries=3)
def flaky(self, times, countdown=0.1):
    journal("flaky", self.request.id, self.request.retries)
    if self.request.retries < times:
        raise self.retry(countdown=countdown)
    return self.request.retries


@app.task(bind=True, max_retries=1)
def again(self):
    raise self.retry(exc=KeyError("k"), countdown=0.05)


@app.task(bind=True, max_retries=1)
def hopeless(self):
    raise self.retry(countdown=0.05)


@app.task(bind=True, autoretry_for=(OSError,), retry_kwargs={"max_retries": 2, "countdown": 0.05})
def automatic(self):
    if self.request.retries < 2:
        raise OSError("not yet")
    return self.request.retries


@app.task(bind=True)
def progress(self, name):
    self.update_state(state="PROGRESS", meta={"done": 1, "of": 2})
    wait_for_file(name)
    return "done"


@app.task(track_started=True)
def tracked(name):
    wait_for_file(name)
    return "done"


@app.task(bind=True)
def family(self):
    return show.delay().id


@app.task
def patient():
    try:
        time.sleep(30)
    except SoftTimeLimitExceeded:
        return "interrupted"


@app.task
def stubborn():
    time.sleep(30)


@app.task
def die():
    os.kill(os.getpid(), signal.SIGKILL)


@app.task(acks_late=True)
def refuse():
    raise Reject("no", requeue=False)


@app.task(ignore_result=True)
def mark(word):
    journal(word, "{package}", time.time())


@app.task(bind=True, acks_late=True)
def hold(self, name, seconds=0.0):
    journal("began", name, "{package}", self.request.delivery_info.get("redelivered"))
    if seconds:
        time.sleep(seconds)
    else:
        wait_for_file(name)
    journal("ended", name, "{package}")
"""

CLIENT = """
import time
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta, timezone
from datetime import time as day_time
from decimal import Decimal
from uuid import UUID, uuid4

from proj import *

results, told, follow = {}, {}, str(uuid4())
ENDS = time.monotonic() + DEADLINE_S


def left():
    '''Seconds that are left for all cases together; a little for each, so that the last ones are heard too.'''
    return max(1.0, ENDS - time.monotonic())


@contextmanager
def telling(name):
    '''What fails with one case is told of that one.'''
    try:
        yield
    except Exception as error:
        told.setdefault(name, {})["failed"] = repr(error)


def soon(seconds):
    return datetime.now(UTC) + timedelta(seconds=seconds)


def until(holds):
    deadline = time.monotonic() + left()
    while not holds():
        assert time.monotonic() < deadline, "it did not come to hold in time"
        time.sleep(0.01)


def let_go(name):
    open(os.path.join(SHARED, name), "w").close()


def followed(suffix):
    return app.AsyncResult(follow + suffix)


def tell(result):
    try:
        value = result.get(timeout=left())
    except Exception as error:
        value = error
    kind = type(value).__name__
    seen = value if isinstance(value, dict) and "on_time" in value else {}
    return {
        "state": result.state,
        "kind": kind,
        "value": repr(value),
        "text": str(value),
        "own_root": seen.get("root_id") == result.id,
        "traceback": result.traceback or "",
        "name": result.name,
        "queue": result.queue,
        "record_args": repr(result.args),
        "record_retries": result.retries,
        "worker": result.worker,
        "done": result.date_done is not None,
    } | seen
"""


@dataclass(frozen=True, slots=True, eq=False)
class Has:
    """Expects these words somewhere in a text."""

    words: str

    def __eq__(self, text: object) -> bool:
        return isinstance(text, str) and self.words in text


@dataclass(frozen=True, slots=True)
class Case:
    """`send` makes a result; what is then told of it must hold what is expected.

    `watch` is an expression of the client, evaluated when all are sent and told as `watched`. `r` is the result.
    `kills` a child of the worker: sent alone, when all others are told, for what Celery holds then it may lose.
    """

    name: str
    send: str
    expect: Mapping[str, Any] = field(default_factory=dict)
    watch: str = ""
    kills: bool = False


def shown(name: str, options: str, /, **expect: Any) -> Case:
    """A call of `show` with these options."""
    return Case(name, f"show.apply_async({options})", {"state": "SUCCESS", "on_time": True, **expect})


def echoed(name: str, value: str, as_read: str | None = None) -> Case:
    """A value of JSON's extensions, there and back."""
    return Case(f"type-{name}", f"echo.delay({value})", {"state": "SUCCESS", "value": as_read or value})


_PLAIN = "(1, 'é', 2.5, None, True, [1, {'a': [2]}]), {'k': 'x', 'n': {'m': None}}"
_PLAIN_ARGS, _PLAIN_KWARGS = "(1, 'é', 2.5, None, True, [1, {'a': [2]}])", "{'k': 'x', 'n': {'m': None}}"

CASES = [
    shown(
        "plain", "", args="()", kwargs="{}", priority=0, exchange="", routing_key="celery", redelivered=False,
        retries=0, group=None, group_index=None, parent_id=None, own_root=True, shadow=None, correlated=True,
        has_reply_to=True, origin="gen", has_eta=False, expires=False, timelimit=[None, None], ignores=False,
    ),
    shown("arguments", _PLAIN, args=_PLAIN_ARGS, kwargs=_PLAIN_KWARGS),
    shown("record", "(1, 'é')", name="proj.show", queue="celery", record_retries=0, worker="w1@host", done=True),
    echoed("datetime", "datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=timezone.utc)",
           "datetime.datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=datetime.timezone.utc)"),
    echoed("naive-datetime", "datetime(2026, 1, 2, 3, 4)", "datetime.datetime(2026, 1, 2, 3, 4)"),
    echoed("date", "date(2026, 1, 2)", "datetime.date(2026, 1, 2)"),
    echoed("time", "day_time(3, 4, 5)", "datetime.time(3, 4, 5)"),
    echoed("decimal", "Decimal('1.10')"),
    echoed("uuid", "UUID('12345678-1234-5678-1234-567812345678')"),
    echoed("bytes", "b'text'"),
    echoed("binary", "b'\\x00\\xff'"),
    echoed("nested", "{'a': [Decimal('1'), {'b': b'x'}]}"),
    echoed("integer", "10 ** 40", repr(10**40)),
    echoed("infinity", "[float('inf'), float('-inf'), float('nan')]", "[inf, -inf, nan]"),
    echoed("tuple", "(1, (2, 3))", "[1, [2, 3]]"),
    echoed("keys", "{1: True, None: False}", "{'1': True, 'null': False}"),
    shown("eta", "eta=soon(1)", has_eta=True),
    shown("eta-of-another-zone", "eta=soon(1).astimezone(timezone(timedelta(hours=5)))", has_eta=True),
    shown("countdown", "countdown=1", has_eta=True),
    shown("expires-later", "expires=60", expires=True),
    shown("expires-later-by-date", "expires=soon(60), countdown=0.5", expires=True, has_eta=True),
    Case("expired", "show.apply_async(expires=soon(-10))",
         {"state": "REVOKED", "kind": "TaskRevokedError", "text": "expired"}),
    Case("expires-before-its-time", "show.apply_async(countdown=1, expires=0.5)",
         {"state": "REVOKED", "kind": "TaskRevokedError", "text": "expired"}),
    *(shown(f"priority-{given}", f"priority={given}", priority=given) for given in (0, 3, 5, 9)),
    shown("headers", "headers={'tenant': 'acme'}", tenant="acme", tenant_attribute="acme"),
    *(shown(f"serializer-{name}", f"{_PLAIN}, serializer={name!r}", args=_PLAIN_ARGS, kwargs=_PLAIN_KWARGS)
      for name in ("json", "pickle", "yaml", "msgpack")),
    shown("serializer-pickle-values", "(1, (2,)), {'k': (Decimal('1'),)}, serializer='pickle'",
          args="(1, (2,))", kwargs="{'k': (Decimal('1'),)}"),
    shown("serializer-msgpack-bytes", "(b'\\x00', 'x'), serializer='msgpack'", args="(b'\\x00', 'x')"),
    *(shown(f"compression-{name}", f"('x' * 5000,), compression={name!r}", args=f"({'x' * 5000!r},)")
      for name in ("gzip", "bzip2", "lzma", "brotli", "zstd")),
    shown("compressed-pickle", "((1,),), serializer='pickle', compression='gzip'", args="((1,),)"),
    Case("retried", "flaky.delay(2)", {"state": "SUCCESS", "value": "2", "record_retries": 2}),
    Case("retried-with-delay", "flaky.apply_async((1,), {'countdown': 1})", {"state": "SUCCESS", "value": "1"}),
    Case("retried-to-the-end", "again.delay()",
         {"state": "FAILURE", "kind": "KeyError", "value": "KeyError('k')", "record_retries": 1}),
    Case("retried-without-a-reason", "hopeless.delay()", {"state": "FAILURE", "kind": "MaxRetriesExceededError"}),
    Case("retried-automatically", "automatic.delay()", {"state": "SUCCESS", "value": "2"}),
    Case("failed", "fail.delay()",
         {"state": "FAILURE", "value": "ValueError('boom', 1)", "traceback": Has('raise ValueError("boom", 1)')}),
    Case("failed-oddly", "fail_oddly.delay()", {"state": "FAILURE", "text": Has("odd 1 2"), "traceback": Has("Odd")}),
    Case("failed-unknown", "app.send_task('proj.unknown')", {"state": "FAILURE", "kind": "NotRegistered"}),
    Case("progress", "progress.delay(follow + '-progress')", {"value": "'done'", "watched": {"done": 1, "of": 2}},
         "[until(lambda: r.state == 'PROGRESS'), r.info, let_go(follow + '-progress')][1]"),
    Case("started", "tracked.delay(follow + '-started')", {"value": "'done'", "watched": ["w1@host", True]},
         "[until(lambda: r.state == 'STARTED'), [r.info['hostname'], type(r.info['pid']) is int],"
         " let_go(follow + '-started')][1]"),
    Case("ignored", "show.apply_async(ignore_result=True, task_id=follow + '-ignored')", {"watched": "PENDING"},
         "[until(lambda: follow + '-ignored' in open(os.path.join(SHARED, 'journal')).read()), r.state][1]"),
    Case("link", "echo.apply_async((7,), link=show.s(2).set(task_id=follow + '-link'))",
         {"value": "7", "watched": ["(7, 2)", True, True, True]},
         "(lambda seen: [seen['args'], seen['parent_id'] == r.id, seen['root_id'] == r.id,"
         " [each.id for each in r.children] == [follow + '-link']])(followed('-link').get(timeout=left()))"),
    Case("link-immutable", "echo.apply_async((7,), link=show.si(2).set(task_id=follow + '-si'))",
         {"watched": "(2,)"}, "followed('-si').get(timeout=left())['args']"),
    Case("link-with-options", "echo.apply_async((7,), link=show.s().set(task_id=follow + '-lo', queue='other',"
         " priority=6, headers={'tenant': 'acme'}))", {"watched": ["other", 6, "acme"]},
         "[followed('-lo').get(timeout=left())[name] for name in ('routing_key', 'priority', 'tenant')]"),
    Case("link-error", "fail.apply_async(link_error=mourn.s().set(task_id=follow + '-error'))",
         {"state": "FAILURE", "watched": True}, "followed('-error').get(timeout=left()) == r.id"),
    shown("time-limits", "time_limit=30, soft_time_limit=20", timelimit=[30, 20]),
    Case("soft-limit", "patient.apply_async(soft_time_limit=1)", {"state": "SUCCESS", "value": "'interrupted'"}),
    Case("hard-limit", "stubborn.apply_async(time_limit=1)", {"state": "FAILURE", "kind": "TimeLimitExceeded"},
         kills=True),
    Case("lost", "die.delay()", {"state": "FAILURE", "kind": "WorkerLostError"}, kills=True),
    shown("ids", "group_id='g', group_index=3, root_id='r', parent_id='p'",
          group="g", group_index=3, root_id="r", parent_id="p"),
    Case("family", "family.delay()", {"watched": [True, True, True]},
         "(lambda seen: [seen['parent_id'] == r.id, seen['root_id'] == r.id,"
         " r.children[0].id == r.get(timeout=left())])"
         "(app.AsyncResult(r.get(timeout=left())).get(timeout=left()))"),
    shown("shadow", "shadow='nick'", shadow="nick"),
    shown("queue", "queue='other'", exchange="", routing_key="other", queue="other"),
    shown("topic", "queue='logs', routing_key='logs.disk.full'", exchange="logs", routing_key="logs.disk.full"),
    Case("by-name", "app.send_task('proj.show', ('x',), {'k': 1})", {"args": "('x',)", "kwargs": "{'k': 1}"}),
    Case("signature", "show.s(1, k=2).apply_async((0,))", {"args": "(0, 1)", "kwargs": "{'k': 2}"}),
]  # fmt: skip


def client_code(cases: Sequence[Case]) -> str:
    """A program that sends them all, and tells what became of each; then those that kill, one at a time."""
    together = [case for case in cases if not case.kills]
    lines = [CLIENT, *map(_sent, together), *map(_watched, together), *map(_told, together)]
    for case in cases:
        if case.kills:
            lines += [_sent(case), _watched(case), _told(case)]
    return "\n".join([*lines, "say(told)"])


def _sent(case: Case) -> str:
    return f"with telling({case.name!r}):\n    results[{case.name!r}] = {case.send}"


def _watched(case: Case) -> str:
    if not case.watch:
        return ""
    return (
        f"with telling({case.name!r}):\n"
        f"    r = results[{case.name!r}]\n"
        f"    told.setdefault({case.name!r}, {{}})['watched'] = {case.watch}"
    )


def _told(case: Case) -> str:
    """Its state once more, where no result is expected to come: none may be waited for."""
    told, result = f"told.setdefault({case.name!r}, {{}})", f"results[{case.name!r}]"
    if case.expect.get("watched") == "PENDING":
        seen = f"{told}.update({{'watched': {result}.state}} if 'watched' in {told} else {{}})"
    else:
        seen = f"told[{case.name!r}] = tell({result}) | {told}"
    return f"with telling({case.name!r}):\n    {seen}"
