"""What a worker replies, key by key against what a Celery worker replied (tests/fixtures/control_replies.json)."""

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.deadlines import DEADLINE_S
from tests.worker.process import Project

FIXTURE = Path(__file__).parents[1] / "fixtures" / "control_replies.json"
RECORDED: list[dict[str, Any]] = json.loads(FIXTURE.read_text())["replies"]

TASKS = {"wr_app.add": "tests.worker.proj.add"}
OURS_ON_PURPOSE = {
    # docs/internals/decisions.md: it is obeyed, and nothing is drawn
    "disable_events": {"ok": "task events disabled"},
    "objgraph": None,
    # they say what they say
    **dict.fromkeys(("report", "memsample", "memdump", "registered", "conf", "clock"), None),
}
OF_THE_MOMENT = frozenset(
    {"active", "scheduled", "reserved", "revoked", "stats", "active_queues", "query_task", "hello"}
)


def recorded(method: str, **arguments: Any) -> Any:
    found = [row["reply"] for row in RECORDED if row["method"] == method]
    chosen = [row["reply"] for row in RECORDED if row["method"] == method and row["arguments"] == arguments]
    return (chosen or found)[0]


def said(project: Project, method: str, **arguments: Any) -> Any:
    """The one worker's reply."""
    (answer,) = project.app.control.broadcast(method, arguments, reply=True, limit=1, timeout=DEADLINE_S) or [{}]
    (reply,) = answer.values()
    return reply


def shape(value: Any) -> Any:
    """What kind of value it is, the same for two that a reader could not tell apart by their kind."""
    match value:
        case dict():
            return {key: shape(item) for key, item in value.items()}
        case list():
            return [shape(item) for item in value]
        case bool():
            return "yes or no"
        case int() | float():
            return "number"
        case str():
            return "text"
    return value


def same_shape(ours: Any, theirs: Any) -> None:
    assert shape(ours) == shape(theirs)
    assert json.dumps(shape(ours)) == json.dumps(shape(theirs))  # in the same order


@pytest.fixture
def busy(project: Project) -> Any:
    """A worker that runs a task, knows of one that is due in a minute, and has been told of a revoked one."""
    with project.worker("-E", "-c", "1"):
        running = project.proj.hold.delay("busy")
        project.saw("busy.started")
        later = project.proj.add.apply_async((1, 1), eta=datetime.now(UTC) + timedelta(seconds=60))
        said(project, "revoke", task_id="gone")
        yield project, running.id, later.id
        project.let_go("busy")


def test_a_running_task_is_shown_as_celery_shows_it(busy: Any) -> None:
    project, running, _ = busy

    (info,) = said(project, "active")
    (safe,) = said(project, "active", safe=True)

    same_shape(info, recorded("active")[0] | {"args": ["busy"]})
    same_shape(safe, recorded("active", safe=True)[0])
    assert (info["id"], info["args"], safe["args"], safe["kwargs"]) == (running, ["busy"], "('busy',)", "{}")
    assert info["delivery_info"] == recorded("active")[0]["delivery_info"]
    assert info["acknowledged"] is True


def test_scheduled_tasks_are_shown_as_celery_shows_them(busy: Any) -> None:
    project, _, later = busy

    (one,) = said(project, "scheduled")

    same_shape(one, recorded("scheduled")[0])
    assert (one["request"]["id"], one["request"]["time_start"]) == (later, None)
    assert one["eta"].endswith("+00:00")


def test_a_task_is_found_as_celery_finds_it(busy: Any) -> None:
    project, running, _ = busy

    found = said(project, "query_task", ids=[running, "nobody"])

    place, info = recorded("query_task", ids=recorded_ids())["aa206c1d-33b3-4a26-b78b-be3ed2e4d7a8"]
    assert list(found) == [running]
    assert found[running][0] == place == "active"
    same_shape(found[running][1], info | {"args": ["busy"]})


def recorded_ids() -> list[str]:
    (arguments,) = [row["arguments"] for row in RECORDED if row["method"] == "query_task"]
    ids: list[str] = arguments["ids"]
    return ids


def test_queues_are_shown_as_celery_shows_them(busy: Any) -> None:
    project, _, _ = busy

    assert json.dumps(said(project, "active_queues")) == json.dumps(recorded("active_queues"))


def test_stats_have_celerys_fields(busy: Any) -> None:
    project, _, _ = busy

    stats, theirs = said(project, "stats"), dict(recorded("stats"))

    stats["total"], theirs["total"] = {}, {}  # by the names of tasks
    for pool in (stats["pool"], theirs["pool"]):
        pool["processes"] = pool["processes"][:1]
    # A file has no port, and its path is the virtual host.
    theirs["broker"] |= {"hostname": None, "port": None}
    same_shape(stats, theirs)
    assert (stats["broker"]["transport"], stats["broker"]["virtual_host"]) == (
        "sqlite",
        f"{project.folder}/proj.sqlite3",
    )


def test_hello_tells_what_was_revoked_on_both_sides(busy: Any) -> None:
    project, _, _ = busy

    reply = said(project, "hello", from_node="other@h", revoked=["theirs"])

    assert list(reply) == list(recorded("hello"))
    assert set(reply["revoked"]) == {"gone", "theirs"}
    assert said(project, "hello", from_node="celery@w1", revoked=[]) is None


def test_conf_and_report_keep_secrets(project: Project) -> None:
    with project.worker("-c", "1", settings={"broker_password": "swordfish"}):
        conf, report = said(project, "conf"), said(project, "report")

    assert conf["broker_password"] == recorded("conf")["broker_url"].split(":")[2].partition("@")[0] == "********"
    assert "swordfish" not in json.dumps([conf, report])
    assert list(report) == list(recorded("report")) == ["ok"]


def test_every_command_answers_what_celerys_worker_answers(project: Project) -> None:
    """Word for word, in the order in which Celery's was asked; what differs on purpose is named above."""
    differing = []
    with project.worker("-E", "-c", "2"):
        for row in RECORDED:
            method, theirs = row["method"], row["reply"]
            if method in OF_THE_MOMENT:
                continue
            ours = said(project, method, **_of_this_project(row["arguments"]))
            expected = OURS_ON_PURPOSE.get(method, theirs)
            if expected is not None and ours != expected and method != "enable_events":
                differing.append((method, row["arguments"], ours, expected))
        assert said(project, "reserved") == recorded("reserved") == []
        assert said(project, "enable_events") == recorded("enable_events")

    assert differing == []


def _of_this_project(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {name: TASKS.get(value, value) if isinstance(value, str) else value for name, value in arguments.items()}


def test_memory_and_clock_are_told_in_celerys_form(project: Project) -> None:
    with project.worker("-c", "1") as worker:
        assert isinstance(said(project, "clock")["clock"], int)
        assert said(project, "memsample").endswith("MB") or not os.path.exists(f"/proc/{worker.pid}/status")
        assert said(project, "memdump", samples=10).startswith("- rss")
        assert said(project, "registered", taskinfoitems=["rate_limit"])[0].startswith("proj.limited [rate_limit=5/s]")
