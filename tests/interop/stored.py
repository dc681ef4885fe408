"""What one side's worker has stored, the other side's client reads: programs for both, whatever the store is."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from tests.interop.celery_side import MODULE as PLAIN
from tests.interop.celery_side import CeleryProject, OurProject, Project

MODULE = (
    PLAIN
    + """

@app.task(bind=True, max_retries=1)
def put_off(self):
    raise self.retry(exc=KeyError("k"), countdown=600)


@app.task(bind=True, max_retries=1)
def at_last(self):
    if not self.request.retries:
        raise self.retry(countdown=0)
    return self.request.retries


@app.task(bind=True)
def tells(self):
    self.update_state(state="PROGRESS", meta={"done": 3})
    for _ in range(4000):
        if os.path.exists(os.path.join(FOLDER, "go")):
            return "told"
        time.sleep(0.005)


@app.task(ignore_result=True)
def ignored():
    return "nobody reads it"


@app.task
def parent():
    return add.delay(2, 2).id
"""
)

# Asks for one of each, and says what it is told.
CLIENT = """
import os, time

def until(holds):
    deadline = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)

def past_its_time():
    # A RabbitMQ drops a call like this where no worker is ready for it at once: then another is sent.
    deadline = time.monotonic() + DEADLINE_S
    while True:
        call = proj.add.apply_async((1, 1), expires=-1)
        patience = time.monotonic() + 1.0
        while time.monotonic() < patience:
            if call.ready():
                return call
            time.sleep(0.01)
        assert time.monotonic() < deadline

def told(result):
    value = result.result
    error = [type(value).__name__, list(map(str, value.args))] if isinstance(value, Exception) else None
    return [result.state, error or value, [child.id for child in result.children or ()]]

progress = proj.tells.delay()
until(lambda: progress.state == "PROGRESS")
halfway = [progress.state, progress.info]
open(os.path.join(os.environ["WORKER"], "go"), "w").close()
assert progress.get(timeout=DEADLINE_S) == "told"

success, failure = proj.add.delay(20, 22), proj.fail.delay()
value = success.get(timeout=DEADLINE_S)
try:
    failure.get(timeout=DEADLINE_S)
except ValueError as error:
    raised = list(error.args)
expired = past_its_time()
retried = proj.put_off.delay()
until(lambda: retried.state == "RETRY")
later = proj.at_last.delay()
nothing = proj.ignored.delay()
in_group = proj.add.apply_async((1, 2), group_id="g")
has_child = proj.parent.delay()
child = has_child.get(timeout=DEADLINE_S)
assert later.get(timeout=DEADLINE_S) == 1
assert in_group.get(timeout=DEADLINE_S) == 3
assert app.AsyncResult(child).get(timeout=DEADLINE_S) == 4
fields = ("name", "args", "kwargs", "retries", "queue")
say({
    "halfway": halfway, "value": value, "raised": raised, "success": told(success), "failure": told(failure),
    "traceback": failure.traceback, "expired": told(expired), "retried": told(retried)[:2], "ignored": nothing.state,
    "children": told(has_child) == ["SUCCESS", child, [child]], "extended": [getattr(success, f) for f in fields],
    "group": getattr(app.backend, "get_task_meta", lambda id: {})(in_group.id).get("group_id", "g"),
})
"""

SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "extended, compressed, prefixed": {
        "result_extended": True,
        "result_compression": "gzip",
        "result_backend_transport_options": {"global_keyprefix": "mine"},
    },
    "pickle": {"result_serializer": "pickle", "result_accept_content": ["pickle", "json"]},
    "yaml": {"result_serializer": "yaml", "result_accept_content": ["yaml", "json"]},
    "msgpack": {"result_serializer": "msgpack", "result_accept_content": ["msgpack", "json"]},
}


SAVER = """
from {package}.result import GroupResult

tasks = [proj.add.delay(1, n) for n in range(3)]
inner = app.GroupResult("inner-" + KEY, tasks[2:])
app.GroupResult("outer-" + KEY, [*tasks[:2], inner], parent=app.AsyncResult("up")).save()
gone = app.GroupResult("gone-" + KEY, tasks)
gone.save()
GroupResult.restore("gone-" + KEY).delete()
"""
RESTORER = """
from {package}.result import GroupResult

found = GroupResult.restore("outer-" + KEY)
say([found.id, found.parent.id, found.get(timeout=DEADLINE_S), found[2].id, GroupResult.restore("gone-" + KEY)])
"""


def reads_what_is_written(
    writes: type[Project],
    broker: str,
    settings: dict[str, Any],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    celerys: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """`celerys` is what Celery's side has set otherwise."""
    of = {OurProject: settings, CeleryProject: {**settings, **celerys}}
    reads = OurProject if writes is CeleryProject else CeleryProject
    with (
        writes(folder / "writes", broker, of[writes], MODULE) as worker,
        reads(folder / "reads", broker, of[reads], MODULE) as client,
    ):
        monkeypatch.setenv("WORKER", str(worker.folder))
        worker.worker("-c", "1")
        said = client.python(CLIENT)

    assert said["halfway"] == ["PROGRESS", {"done": 3}]
    assert said["value"] == 42
    assert said["raised"] == ["boom", 1]
    assert said["success"] == ["SUCCESS", 42, []]
    assert said["failure"] == ["FAILURE", ["ValueError", ["boom", "1"]], []]
    assert said["traceback"].startswith("Traceback (most recent call last):\n")
    assert said["traceback"].rstrip().endswith("ValueError: ('boom', 1)")
    assert said["expired"] == ["REVOKED", ["TaskRevokedError", ["expired"]], []]
    assert said["retried"] == ["RETRY", ["KeyError", ["k"]]]
    assert said["ignored"] == "PENDING"
    assert said["children"]
    assert said["group"] == "g"
    if settings.get("result_extended"):
        name, args, kwargs, retries, queue = said["extended"]
        assert [name, list(args), kwargs, retries, queue] == ["proj.add", [20, 22], {}, 0, "celery"]


def restores_what_is_saved(
    saves: type[Project],
    broker: str,
    settings: dict[str, Any],
    folder: Path,
    celerys: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """`celerys` is what Celery's side has set otherwise."""
    of = {OurProject: settings, CeleryProject: {**settings, **celerys}}
    restores = OurProject if saves is CeleryProject else CeleryProject
    key = f"KEY = {folder.name!r}\n"
    with (
        saves(folder / "saves", broker, of[saves], MODULE) as saver,
        restores(folder / "restores", broker, of[restores], MODULE) as restorer,
    ):
        saver.worker("-c", "1")
        saver.python(key + SAVER.replace("{package}", saver.package))
        said = restorer.python(key + RESTORER.replace("{package}", restorer.package))

    assert said == [f"outer-{folder.name}", "up", [1, 2, [3]], f"inner-{folder.name}", None]
