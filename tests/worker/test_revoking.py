"""Revoked tasks, wherever they are when they are revoked: real workers, the embedded broker."""

import json
import signal
from pathlib import Path

import pytest

from celery_rs.errors import TaskRevokedError
from tests.deadlines import DEADLINE_S, eventually
from tests.worker.process import Project

pools = pytest.mark.parametrize("pool", ["prefork", "solo"])


def revoked(result: object) -> None:
    with pytest.raises(TaskRevokedError):
        result.get(timeout=DEADLINE_S)  # type: ignore[attr-defined]


@pools
def test_a_task_revoked_while_no_worker_runs_is_revoked_at_once_and_never_starts(project: Project, pool: str) -> None:
    result = project.proj.noted.delay("never")
    project.app.control.revoke(result.id)
    revoked(result)

    with project.worker("-c", "1", "-P", pool):
        assert project.proj.add.delay(1, 1).get(timeout=DEADLINE_S) == 2
        (queued,) = [project.app.transport.queues(["celery"])["celery"]]
        assert queued.ready == 0

    assert project.lines("never") == []
    assert f"Discarding revoked task: tests.worker.proj.noted[{result.id}]" in project.log()


def test_queued_handed_over_and_parked_tasks_never_start_once_revoked(project: Project) -> None:
    with project.worker("-c", "1", "--prefetch-multiplier", "8"):
        running = project.proj.hold.delay("front")
        project.saw("front.started")
        behind = [project.proj.noted.delay("behind") for _ in range(3)]
        parked = project.proj.noted.apply_async(("behind",), countdown=2)
        kept = project.proj.add.delay(1, 1)
        eventually(lambda: project.log().count(" received") == 6)

        project.app.control.revoke([*(result.id for result in behind), parked.id])
        for result in (*behind, parked):
            revoked(result)
        project.let_go("front")

        assert (running.get(timeout=DEADLINE_S), kept.get(timeout=DEADLINE_S)) == ("front", 2)
    assert project.lines("behind") == []


def test_a_task_at_the_broker_until_its_eta_is_revoked_at_once(project: Project) -> None:
    with project.worker("-c", "1"):
        result = project.proj.noted.apply_async(("later",), countdown=3600)
        eventually(lambda: project.app.transport.delayed(["celery"], 10))

        project.app.control.revoke(result.id)
        revoked(result)

        assert result.state == "REVOKED"
        ((shown,),) = project.app.control.inspect().revoked().values()
        assert shown == result.id


def test_revoking_what_runs_lets_it_run_and_keeps_its_result(project: Project) -> None:
    with project.worker("-c", "1"):
        result = project.proj.hold.delay("on")
        project.saw("on.started")

        (answer,) = project.app.control.revoke(result.id, reply=True, limit=1)
        assert list(answer.values()) == [{"ok": f"tasks {{{result.id!r}}} flagged as revoked"}]
        project.let_go("on")

        assert result.get(timeout=DEADLINE_S) == "on"


@pytest.mark.parametrize("late", [False, True])
def test_terminate_ends_the_task_that_runs_and_no_other(project: Project, late: bool) -> None:
    task = project.proj.hold_late if late else project.proj.hold
    with project.worker("-c", "2"):
        victim, other = task.delay("victim"), project.proj.hold.delay("other")
        project.saw("victim.started")
        project.saw("other.started")

        (answer,) = project.app.control.terminate(victim.id, signal="SIGKILL", reply=True, limit=1)
        assert list(answer.values()) == [{"ok": f"terminate: {victim.id}"}]
        with pytest.raises(TaskRevokedError, match="terminated"):
            victim.get(timeout=DEADLINE_S)
        project.let_go("other")

        assert other.get(timeout=DEADLINE_S) == "other"
        assert project.proj.add.delay(1, 1).get(timeout=DEADLINE_S) == 2
    assert len(project.lines("victim.started")) == 1
    assert project.lines("victim.ended") == []
    assert f"Terminating {victim.id} (SIGKILL)" in project.log()


def test_terminating_what_is_not_here_says_so(project: Project) -> None:
    with project.worker("-c", "1"):
        (answer,) = project.app.control.terminate("nobody", reply=True, limit=1)

    assert list(answer.values()) == [{"ok": "terminate: tasks unknown"}]


def test_a_retry_of_a_revoked_task_is_its_end(project: Project) -> None:
    with project.worker("-c", "1"):
        result = project.proj.retried_slowly.delay("again")
        project.saw("again")
        eventually(lambda: result.state == "RETRY")

        project.app.control.revoke(result.id)
        revoked(result)

    assert len(project.lines("again")) == 1


def test_a_task_that_is_revoked_while_it_runs_is_not_retried(project: Project) -> None:
    with project.worker("-c", "1"):
        result = project.proj.retried_after.delay("again")
        project.saw("again.started")

        project.app.control.revoke(result.id, reply=True, limit=1)
        project.let_go("again")
        revoked(result)

    assert len(project.lines("again.started")) == 1
    assert project.column("task_id") == []


def test_tasks_are_revoked_by_a_stamp(project: Project) -> None:
    with project.worker("-c", "1", "--prefetch-multiplier", "8"):
        project.proj.hold.delay("front")
        project.saw("front.started")
        marked = project.proj.noted.apply_async(
            ("marked",), headers={"stamped_headers": ["customer"], "stamps": {"customer": 7}}
        )
        eventually(lambda: project.log().count(" received") == 2)

        (answer,) = project.app.control.revoke_by_stamped_headers({"customer": 7}, reply=True, limit=1)
        assert list(answer.values()) == [{"ok": "headers {'customer': 7} flagged as revoked, but not terminated"}]
        revoked(marked)
        project.let_go("front")

    assert project.lines("marked") == []
    assert "(revoked by header: {'customer': 7})" in project.log()


def test_the_state_file_keeps_what_was_revoked_for_the_next_worker(project: Project) -> None:
    state = project.folder / "state"
    with project.worker("-c", "1", "--statedb", str(state), name="first") as worker:
        project.app.control.revoke("one-id", destination=None, reply=True, limit=1)
        worker.terminate()
        assert worker.wait(DEADLINE_S) == 0
    assert list(json.loads(state.read_text())["revoked"]) == ["one-id"]
    forget_revoking(project, "one-id")

    with project.worker("-c", "1", "--statedb", str(state), name="second"):
        ids = project.app.control.inspect().revoked()
        assert list(ids.values()) == [["one-id"]]
        result = project.proj.noted.apply_async(("never",), task_id="one-id")
        revoked(result)

    assert project.lines("never") == []


def test_the_setting_names_the_state_file_too(project: Project) -> None:
    with project.worker("-c", "1", f"worker.state_db={project.folder}/%n.state") as worker:
        project.app.control.revoke("one-id", reply=True, limit=1)
        worker.terminate()
        worker.wait(DEADLINE_S)

    assert list(json.loads((project.folder / "celery.state").read_text())["revoked"]) == ["one-id"]


def forget_revoking(project: Project, task_id: str) -> None:
    """So that only the file knows: the fact is gone without a trace (a dropped one would say that it holds no more)."""
    database = project.app.transport.database
    with database.transaction() as tx:
        tx.execute("DELETE FROM facts")
    project.app.backend.forget([task_id])


def test_a_state_file_that_is_not_ours_stops_the_worker_in_one_line(project: Project, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.write_text("what?")

    with pytest.raises(AssertionError) as told, project.worker("-c", "1", "--statedb", str(state)):
        pass

    assert "is not one of celery-rs" in str(told.value)
    assert "Traceback" not in str(told.value)


def test_a_signal_receiver_hears_of_what_was_revoked(project: Project) -> None:
    with project.worker("-c", "1"):
        running = project.proj.hold.delay("heard")
        project.saw("heard.started")
        waiting = project.proj.noted.delay("waiting")

        project.app.control.revoke(waiting.id)
        revoked(waiting)
        project.app.control.terminate(running.id, signal="SIGTERM")
        revoked(running)
        expired = project.proj.noted.apply_async(("expired",), expires=-1)
        project.app.send_task("nobody.knows")

        eventually(lambda: any(" True" in line and expired.id in line for line in project.lines("signals")))
        eventually(lambda: any("nobody.knows" in line for line in project.lines("signals")))
    heard = [line.split(" ", 1)[1] for line in project.lines("signals")]
    assert f"revoked {waiting.id} ['waiting'] False None False" in heard
    assert f"revoked {running.id} ['heard'] True {int(signal.SIGTERM)} False" in heard
    assert any(line.endswith("['expired'] False None True") for line in heard)
    assert f"received {running.id} tests.worker.proj.hold" in heard
    assert not any(line.startswith(f"received {expired.id}") for line in heard)
    assert "unknown nobody.knows NotRegistered" in heard
