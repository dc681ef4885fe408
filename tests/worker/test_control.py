"""Remote commands that change a worker: what it does afterwards, not only what it answers."""

from typing import Any

import pytest

from celery_rs.errors import SoftTimeLimitExceeded, TimeLimitExceeded
from tests.deadlines import DEADLINE_S, eventually
from tests.worker.process import Project


def said(project: Project, command: str, **arguments: Any) -> Any:
    """The one worker's reply."""
    (answer,) = project.app.control.broadcast(command, arguments, reply=True, limit=1, timeout=DEADLINE_S) or [{}]
    (reply,) = answer.values()
    return reply


def test_shutdown_finishes_what_runs_and_ends_with_0(project: Project) -> None:
    with project.worker("-c", "1") as worker:
        result = project.proj.hold.delay("last")
        project.saw("last.started")

        assert said(project, "shutdown") == {"ok": "shutting down"}
        eventually(lambda: "Warm shutdown" in project.log())
        project.let_go("last")

        assert result.get(timeout=DEADLINE_S) == "last"
        assert worker.wait(DEADLINE_S) == 0


def test_time_limits_hold_for_what_starts_afterwards(project: Project) -> None:
    with project.worker("-c", "1"):
        name = project.proj.hold.name
        assert said(project, "time_limit", task_name=name, soft=0.2) == {"ok": "time limits set successfully"}
        with pytest.raises(SoftTimeLimitExceeded):
            project.proj.hold.delay("soft").get(timeout=DEADLINE_S)

        said(project, "time_limit", task_name=name, hard=0.2)
        with pytest.raises(TimeLimitExceeded):
            project.proj.hold.delay("hard").get(timeout=DEADLINE_S)

        said(project, "time_limit", task_name=name)
        result = project.proj.hold.delay("free")
        project.saw("free.started")
        project.let_go("free")
        assert result.get(timeout=DEADLINE_S) == "free"


def test_a_worker_consumes_from_a_queue_that_it_is_told_of_and_no_more_once_told_so(project: Project) -> None:
    with project.worker("-c", "1"):
        early = project.proj.add.apply_async((1, 1), queue="other")
        assert said(project, "add_consumer", queue="other") == {"ok": "add consumer other"}
        assert early.get(timeout=DEADLINE_S) == 2
        assert project.proj.add.apply_async((1, 2), queue="other").get(timeout=DEADLINE_S) == 3
        assert project.proj.add.delay(2, 2).get(timeout=DEADLINE_S) == 4
        assert [queue["name"] for queue in said(project, "active_queues")] == ["celery", "other"]

        assert said(project, "cancel_consumer", queue="other") == {"ok": "no longer consuming from other"}
        eventually(lambda: project.app.transport.queues(["other"])["other"].consumers == 0)
        project.proj.noted.apply_async(("late",), queue="other")
        assert project.proj.add.delay(3, 3).get(timeout=DEADLINE_S) == 6
        assert [queue["name"] for queue in said(project, "active_queues")] == ["celery"]
        assert project.app.transport.queues(["other"])["other"].ready == 1
    assert project.lines("late") == []


def test_a_queue_of_a_topic_exchange_can_be_added(project: Project) -> None:
    with project.worker("-c", "1"):
        said(project, "add_consumer", queue="t", exchange="e", exchange_type="topic", routing_key="a.*", expires=60)
        eventually(lambda: project.app.transport.queues(["t"])["t"].consumers == 1)
        assert project.proj.add.apply_async((1, 1), exchange="e", routing_key="a.b").get(timeout=DEADLINE_S) == 2


def test_a_queue_can_be_added_while_every_slot_is_taken(project: Project) -> None:
    with project.worker("-c", "1"):
        project.proj.hold.delay("busy")
        project.saw("busy.started")

        said(project, "add_consumer", queue="other")
        eventually(lambda: project.app.transport.queues(["other"])["other"].consumers == 1)
        project.let_go("busy")

        assert project.proj.add.apply_async((1, 1), queue="other").get(timeout=DEADLINE_S) == 2


def test_the_pool_grows_and_shrinks(project: Project) -> None:
    with project.worker("-c", "1"):
        assert said(project, "pool_grow") == {"ok": "pool will grow"}
        results = [project.proj.hold.delay(name) for name in ("one", "two")]
        project.saw("one.started")
        project.saw("two.started")  # at the same time
        project.let_go("one")
        project.let_go("two")
        assert [result.get(timeout=DEADLINE_S) for result in results] == ["one", "two"]

        assert said(project, "pool_shrink") == {"ok": "pool will shrink"}
        eventually(lambda: len(said(project, "stats")["pool"]["processes"]) == 1)
        assert "error" in said(project, "pool_grow", n=1000)
        assert "error" in said(project, "pool_shrink", n=1000)
        assert said(project, "stats")["pool"]["max-concurrency"] == 1


def test_what_waits_for_its_eta_is_scheduled_wherever_it_waits(project: Project) -> None:
    with project.worker("-c", "1"):
        later = project.proj.add.apply_async((1, 1), countdown=3600)
        sooner = project.proj.noted.apply_async(("sooner",), countdown=1800, priority=3)
        eventually(lambda: len(project.app.transport.delayed(["celery"], 10)) == 2)

        (shown,) = (project.app.control.inspect(limit=1).scheduled() or {}).values()

    assert [entry["request"]["id"] for entry in shown] == [sooner.id, later.id]
    assert [entry["priority"] for entry in shown] == [3, 0]
    assert shown[1]["request"]["args"] == [1, 1]


def test_what_runs_and_what_waits_behind_it_is_told_by_id(project: Project) -> None:
    with project.worker("-c", "1", "--prefetch-multiplier", "4"):
        running = project.proj.hold.delay("front")
        project.saw("front.started")
        behind = project.proj.add.delay(1, 1)
        eventually(lambda: project.log().count(" received") == 2)

        places = said(project, "query_task", ids=[running.id, behind.id, "nobody"])

        assert {id: place for id, (place, _) in places.items()} == {running.id: "active", behind.id: "reserved"}
        assert [one["id"] for one in said(project, "reserved")] == [behind.id]
        project.let_go("front")


def test_commands_of_ones_own_are_there(project: Project) -> None:
    with project.worker("-c", "1"):
        assert said(project, "greet", name="you") == {"ok": "hello you from celery@w1"}
        assert said(project, "pool_restart") == {"error": "ValueError('Pool restarts not enabled')"}
        assert said(project, "no_such") == {"error": "KeyError('no_such')"}


def test_a_worker_tells_its_settings_without_its_secrets(project: Project) -> None:
    with project.worker("-c", "1"):
        (conf,) = (project.app.control.inspect(limit=1).conf() or {}).values()

    assert conf["broker_url"].startswith("sqlite:///")


def test_a_receiver_that_hangs_is_named_while_it_does(project: Project) -> None:
    with project.worker("-c", "1"):
        project.proj.slowly_heard.delay()
        eventually(lambda: "the worker has waited over 1 s" in project.log())
        assert "hear_slowly" in project.log()
        project.let_go("heard")
        assert project.proj.add.delay(1, 1).get(timeout=DEADLINE_S) == 2
