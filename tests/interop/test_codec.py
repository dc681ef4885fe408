"""Bodies and records by every serializer beside a real Celery: each reads what the other wrote."""

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from celery_rs import errors
from celery_rs.serializers import reader, serializer
from celery_rs.wire import ResultCodec, decode_failure, decode_meta, encode_failure, encode_meta
from tests.apps import make_app
from tests.deadlines import DEADLINE_S

CELERY = Path(__file__).parents[2] / ".venv-celery" / "bin" / "python"
NAMES = ("json", "pickle", "yaml", "msgpack")
PACKED = {"json": None, "pickle": "gzip", "yaml": "lzma", "msgpack": "brotli"}

pytestmark = pytest.mark.skipif(not CELERY.exists(), reason="there is no real Celery in .venv-celery: run `make test`")

# Reads {"bodies": {name: [type, encoding, body]}, "records": {name: [record, ...]}}; answers with its own of both,
# and with what it has read.
THEIRS = """
import base64, json, sys
from celery import Celery, exceptions
from kombu.serialization import dumps, loads

given = json.load(sys.stdin)
text = lambda raw: base64.b64encode(raw if isinstance(raw, bytes) else raw.encode()).decode()
told = {"bodies": {}, "records": {}, "read bodies": {}, "read records": {}}


class Odd(Exception):
    def __init__(self, one, two):
        super().__init__("odd")


ENDS = (
    ("SUCCESS", {"a": [1]}),
    ("FAILURE", ValueError("boom", 1)),
    ("FAILURE", exceptions.NotRegistered("t")),
    ("REVOKED", exceptions.TaskRevokedError("terminated")),
    ("FAILURE", Odd(1, 2)),
)
for name, (content_type, encoding, body) in given["bodies"].items():
    args, kwargs, embed = loads(base64.b64decode(body), content_type, encoding, accept={content_type})
    told["read bodies"][name] = [args, kwargs, embed]
    app = Celery("theirs", broker="memory://", backend="redis://", set_as_current=False)
    app.conf.update(result_serializer=name, accept_content=[name], result_compression=given["packed"][name])
    linked = app.signature("t", (1,)) if name in ("json", "pickle") else dict(app.signature("t", (1,)))
    embed = {"callbacks": [linked], "errbacks": None, "chain": None, "chord": None}
    sent = ((1, "\\u00e9", [2.5, None]), {"k": "x"}, embed)
    content_type, encoding, body = dumps(sent, name)
    told["bodies"][name] = content_type, encoding, text(body)
    backend = app.backend
    told["records"][name] = []
    for state, value in ENDS:
        meta = backend._get_result_meta(backend.encode_result(value, state), state, None, None)
        told["records"][name].append(text(backend.encode(meta | {"task_id": "id"})))
    told["read records"][name] = []
    for record in given["records"][name]:
        result = backend.decode_result(base64.b64decode(record))["result"]
        told["read records"][name].append([type(result).__name__, getattr(result, "args", result)])
json.dump(told, sys.stdout)
"""


class Odd(Exception):
    """Cannot be pickled."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__("odd")


def text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def body_of(name: str) -> tuple[str, str, str]:
    app = make_app()

    @app.task(name="t")
    def t() -> None: ...

    sent = app.compose("t", (1, "é", [2.5, None]), {"k": "x"}, serializer=name, link=t.s(1)).message
    return sent.content_type, sent.content_encoding, text(sent.body)


def record_of(name: str, value: object) -> str:
    codec = ResultCodec(serializer(name), PACKED[name])
    failed = isinstance(value, Exception)
    told = encode_failure(value, codec.serializer) if isinstance(value, Exception) else value
    return text(encode_meta("id", "FAILURE" if failed else "SUCCESS", told, now=0.0, codec=codec))


@pytest.fixture(scope="module")
def theirs() -> dict[str, Any]:
    ends = ({"a": [1]}, ValueError("boom", 1), errors.NotRegistered("t"), errors.WorkerLostError("gone"), Odd(1, 2))
    given = {
        "packed": PACKED,
        "bodies": {name: body_of(name) for name in NAMES},
        "records": {name: [record_of(name, value) for value in ends] for name in NAMES},
    }
    command = [str(CELERY), "-W", "ignore", "-c", THEIRS]
    run = subprocess.run(
        command, input=json.dumps(given), capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    assert run.returncode == 0, run.stderr
    told: dict[str, Any] = json.loads(run.stdout)
    return told


@pytest.mark.parametrize("name", NAMES)
def test_celery_reads_our_bodies(theirs: dict[str, Any], name: str) -> None:
    args, kwargs, embed = theirs["read bodies"][name]

    assert (args, kwargs) == ([1, "é", [2.5, None]], {"k": "x"})
    assert embed["callbacks"][0] == {
        "task": "t", "args": [1], "kwargs": {}, "options": {}, "subtask_type": None, "immutable": False,
    }  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_we_read_celerys_bodies(theirs: dict[str, Any], name: str) -> None:
    content_type, encoding, body = theirs["bodies"][name]

    args, kwargs, embed = reader(content_type, {content_type}, encoding).loads(base64.b64decode(body))

    assert (list(args), kwargs) == ([1, "é", [2.5, None]], {"k": "x"})
    assert (type(embed["callbacks"][0]), embed["callbacks"][0]["task"]) == (dict, "t")


@pytest.mark.parametrize("name", NAMES)
def test_celery_reads_our_records(theirs: dict[str, Any], name: str) -> None:
    success, *failures = theirs["read records"][name]

    assert success == ["dict", {"a": [1]}]
    assert [kind for kind, _ in failures[:3]] == ["ValueError", "NotRegistered", "WorkerLostError"]
    assert failures[0][1] == ["boom", 1]
    assert "odd" in str(failures[3])


@pytest.mark.parametrize("name", NAMES)
def test_we_read_celerys_records(theirs: dict[str, Any], name: str) -> None:
    records = [decode_meta(base64.b64decode(raw), serializer(name)) for raw in theirs["records"][name]]
    success, *failures = records

    assert success.result == {"a": [1]}
    boom, unknown, revoked, odd = (decode_failure(record.result) for record in failures)
    assert isinstance(boom, ValueError)
    assert boom.args == ("boom", 1)
    assert isinstance(unknown, errors.NotRegistered)
    assert isinstance(revoked, errors.TaskRevokedError)
    assert "odd" in str(odd)
