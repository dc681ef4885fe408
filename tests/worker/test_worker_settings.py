"""The settings of the worker's machinery, each seen to have its effect in a real worker."""

import signal
import sqlite3
import time
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from celery_rs.errors import TimeLimitExceeded, WorkerLostError
from celery_rs.wire import TaskResult
from tests.deadlines import DEADLINE_S, eventually
from tests.worker.process import Project


def stats(project: Project) -> dict[str, Any]:
    """What the only worker tells of itself."""
    (told,) = (project.app.control.inspect(timeout=DEADLINE_S, limit=1).stats() or {}).values()
    found: dict[str, Any] = told
    return found


def processes(project: Project, count: int, *, without: Collection[int] = ()) -> list[int]:
    """The pids of its pool, once there are so many and none of those."""
    pids: list[int] = []

    def hold() -> bool:
        pids[:] = stats(project)["pool"]["processes"]
        return len(pids) == count and not set(pids) & set(without)

    eventually(hold)
    return pids


@contextmanager
def unreachable(project: Project) -> Iterator[Path]:
    """The broker cannot be used: something lies where it keeps its locks; yields what."""
    file = project.folder / "proj.sqlite3.d"
    file.touch()
    yield file


def test_a_process_that_needs_too_much_memory_is_replaced(project: Project) -> None:
    with project.worker("-c", "1", settings={"worker_max_memory_per_child": 200_000}):
        before = project.proj.needing.delay(1).get(timeout=DEADLINE_S)
        light = project.proj.needing.delay(1).get(timeout=DEADLINE_S)
        heavy = project.proj.needing.delay(250).get(timeout=DEADLINE_S)
        after = project.proj.needing.delay(1).get(timeout=DEADLINE_S)

    assert before == light == heavy != after
    assert "KiB of memory, more than 200000; it is replaced" in project.log()


def test_a_process_that_is_not_ready_in_time_is_replaced(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROJ_HANGS", "1")

    with project.worker("-c", "1", "-I", "tests.worker.hooked", settings={"worker_proc_alive_timeout": 0.3}):
        eventually(lambda: "is starting for too long; it is killed" in project.log())

        assert project.proj.add.delay(1, 1).get(timeout=DEADLINE_S) == 2


def test_a_soft_shutdown_waits_for_what_runs_and_then_ends_it(project: Project) -> None:
    with project.worker("-c", "2", settings={"worker_soft_shutdown_timeout": 1.0}) as worker:
        short, long = project.proj.hold.delay("short"), project.proj.hold_late.delay("long")
        project.saw("short.started")
        project.saw("long.started")
        worker.send_signal(signal.SIGQUIT)
        eventually(lambda: "Initiating Soft Shutdown, terminating in 1.0 seconds" in project.log())
        project.let_go("short")

        assert short.get(timeout=DEADLINE_S) == "short"
        assert worker.wait(DEADLINE_S) == 1
    assert project.app.transport.find(long.id).state == "ready"
    assert "Cold shutdown" in project.log()


def test_a_soft_shutdown_ends_early_when_nothing_runs_any_more(project: Project) -> None:
    with project.worker("-c", "1", settings={"worker_soft_shutdown_timeout": 60}) as worker:
        project.proj.hold.delay("short")
        project.saw("short.started")
        worker.send_signal(signal.SIGQUIT)
        eventually(lambda: "Initiating Soft Shutdown" in project.log())
        project.let_go("short")

        assert worker.wait(DEADLINE_S) == 1


def test_a_soft_shutdown_waits_on_an_idle_worker_where_that_is_asked(project: Project) -> None:
    settings = {"worker_soft_shutdown_timeout": 1.0, "worker_enable_soft_shutdown_on_idle": True}
    with project.worker("-c", "1", settings=settings) as worker:
        began = time.monotonic()
        worker.send_signal(signal.SIGQUIT)

        assert worker.wait(DEADLINE_S) == 1
        assert time.monotonic() - began > 0.9


def test_a_late_task_that_has_succeeded_is_not_run_again(project: Project) -> None:
    elsewhere = f"sqlite:///{project.folder}/results.sqlite3"
    settings = {"worker_deduplicate_successful_tasks": True, "result_backend": elsewhere}
    project.app.conf.update(result_backend=elsewhere)
    with project.worker("-c", "1", name="first") as worker:
        result = project.proj.hold_late.delay("late")
        project.saw("late.started")
        eventually(lambda: project.column("started") == [1])
        worker.kill()
        worker.wait()
    # as if it had died between the two steps: the result is stored, the message not acknowledged
    meta = b'{"status": "SUCCESS", "result": "stored", "traceback": null, "children": []}'
    project.app.backend.store([TaskResult(result.id, "SUCCESS", 0, meta)])
    with project.worker("-c", "1", name="second", settings=settings):
        eventually(lambda: project.app.transport.find(result.id) is None)

    assert result.get(timeout=1) == "stored"
    assert len(project.lines("late.started")) == 1


def test_the_pool_is_restarted_where_that_is_allowed(project: Project) -> None:
    with project.worker("-c", "1", settings={"worker_pool_restarts": True}):
        before = processes(project, 1)
        (reply,) = project.app.control.broadcast("pool_restart", reply=True, timeout=DEADLINE_S, limit=1)
        processes(project, 1, without=before)

        assert list(reply.values()) == [{"ok": "reload started"}]
        assert project.proj.add.delay(1, 1).get(timeout=DEADLINE_S) == 2


def test_the_pool_is_not_restarted_otherwise(project: Project) -> None:
    with project.worker("-c", "1"):
        (reply,) = project.app.control.broadcast("pool_restart", reply=True, timeout=DEADLINE_S, limit=1)

    assert "Pool restarts not enabled" in str(reply)


def test_nothing_is_fetched_ahead_where_that_is_off(project: Project) -> None:
    settings = {"worker_disable_prefetch": True, "worker_prefetch_multiplier": 8}
    with project.worker("-c", "2", settings=settings):
        project.proj.hold.delay("one")
        project.proj.hold.delay("two")
        project.saw("one.started")
        project.saw("two.started")
        waiting = [project.proj.add.delay(n, n) for n in range(3)]
        eventually(lambda: project.app.transport.queues(["celery"])["celery"].ready == 3)
        project.let_go("one")

        assert [result.get(timeout=DEADLINE_S) for result in waiting] == [0, 2, 4]
        project.let_go("two")


def test_a_task_whose_process_died_is_retried_and_then_fails(project: Project) -> None:
    with project.worker("-c", "1", settings={"task_retry_on_worker_lost": True}):
        result = project.proj.dies_again.delay("dies")
        with pytest.raises(WorkerLostError, match="SIGKILL"):
            result.get(timeout=DEADLINE_S)

    assert len(project.lines("dies")) == 2
    assert project.lines("dies.retried") == ["WorkerLostError"]
    assert project.lines("dies.failed") == ["WorkerLostError"]


def test_a_pool_grows_to_what_waits_and_shrinks_again(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOSCALE_KEEPALIVE", "0.5")

    with project.worker("--autoscale", "3,1"):
        processes(project, 1)
        assert stats(project)["autoscaler"] == {"max": 3, "min": 1, "current": 1, "qty": 0}
        for n in range(3):
            project.proj.hold.delay(f"held{n}")
        for n in range(3):
            project.saw(f"held{n}.started")
        for n in range(3):
            project.let_go(f"held{n}")
        processes(project, 1)

        assert project.proj.add.delay(1, 1).get(timeout=DEADLINE_S) == 2
    assert "Scaling up" in project.log()
    assert "Scaling down" in project.log()


def test_a_worker_tries_to_reach_its_broker_as_often_as_it_was_told(project: Project) -> None:
    with (
        unreachable(project),
        project.worker("-c", "1", ready=False, settings={"broker_connection_max_retries": 1}) as worker,
    ):
        assert worker.wait(DEADLINE_S) not in (0, None)

    assert "Trying again in 2.00 seconds... (1/1)" in project.log()
    assert "consumer: Cannot connect to sqlite" in project.log()
    assert "Traceback" not in project.log()


def test_a_worker_waits_for_its_broker_and_then_works(project: Project) -> None:
    with unreachable(project) as file, project.worker("-c", "1", ready=False) as worker:
        eventually(lambda: "Trying again in 2.00 seconds... (1/100)" in project.log())
        file.unlink()
        eventually(lambda: " ready." in project.log() or worker.poll() is not None)

        assert project.proj.add.delay(1, 1).get(timeout=DEADLINE_S) == 2


def test_a_worker_without_its_broker_can_be_stopped(project: Project) -> None:
    with unreachable(project), project.worker("-c", "1", ready=False) as worker:
        eventually(lambda: "Trying again in" in project.log())
        worker.send_signal(signal.SIGTERM)

        assert worker.wait(DEADLINE_S) == 0


@pytest.mark.parametrize("settings", [{"broker_connection_retry": False}, {"broker_connection_max_retries": 0}])
def test_a_worker_that_does_not_retry_ends_without_its_broker(project: Project, settings: dict[str, object]) -> None:
    with unreachable(project), project.worker("-c", "1", ready=False, settings=settings) as worker:
        assert worker.wait(DEADLINE_S) not in (0, None)

    assert "Trying again" not in project.log()
    assert "Traceback" not in project.log()


def test_the_first_connection_has_a_setting_of_its_own(project: Project) -> None:
    settings: dict[str, object] = {"broker_connection_retry": False, "broker_connection_retry_on_startup": True}
    with unreachable(project), project.worker("-c", "1", ready=False, settings=settings) as worker:
        eventually(lambda: "Trying again in" in project.log())
        worker.send_signal(signal.SIGTERM)

        assert worker.wait(DEADLINE_S) == 0


def test_a_worker_ends_though_its_broker_does_not_answer(project: Project) -> None:
    with project.worker("-c", "1") as worker:
        project.proj.add.delay(1, 1).get(timeout=DEADLINE_S)
        with closing(sqlite3.connect(project.folder / "proj.sqlite3", isolation_level=None)) as file:
            file.execute("BEGIN IMMEDIATE")  # held to the end: nobody else writes
            worker.send_signal(signal.SIGTERM)

            assert worker.wait(DEADLINE_S) == 0


def test_a_worker_that_is_told_to_stop_again_ends_at_once(project: Project) -> None:
    with project.worker("-c", "1") as worker:
        project.proj.add.delay(1, 1).get(timeout=DEADLINE_S)
        with closing(sqlite3.connect(project.folder / "proj.sqlite3", isolation_level=None)) as file:
            file.execute("BEGIN IMMEDIATE")  # a clean end would take seconds
            worker.send_signal(signal.SIGQUIT)
            eventually(lambda: "Cold shutdown" in project.log())
            worker.send_signal(signal.SIGQUIT)

            assert worker.wait(DEADLINE_S) == 1
    assert "the worker ends without it" not in project.log()


def test_terminate_may_stand_for_quit(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REMAP_SIGTERM", "SIGQUIT")

    with project.worker("-c", "1") as worker:
        result = project.proj.hold_late.delay("late")
        project.saw("late.started")
        worker.send_signal(signal.SIGTERM)

        assert worker.wait(DEADLINE_S) == 1
    assert project.app.transport.find(result.id).state == "ready"


def test_a_task_hears_of_its_hard_limit_though_its_process_cannot_tell(project: Project) -> None:
    with project.worker("-c", "1"):
        with pytest.raises(TimeLimitExceeded):
            project.proj.hardly_told.delay("hard").get(timeout=DEADLINE_S)
        project.saw("hard.failed")

    assert project.lines("hard.failed") == ["TimeLimitExceeded"]


def test_a_worker_tells_of_its_pool_as_celery_does(project: Project) -> None:
    with project.worker("-c", "2", "--time-limit", "20", "--soft-time-limit", "10", "--max-tasks-per-child", "5"):
        processes(project, 2)
        pool = stats(project)["pool"]

    assert {name: pool[name] for name in ("max-concurrency", "max-tasks-per-child", "timeouts")} == {
        "max-concurrency": 2,
        "max-tasks-per-child": 5,
        "timeouts": [10.0, 20.0],
    }
    assert pool["put-guarded-by-semaphore"] is False
    assert pool["writes"]["strategy"] == "fair"


def test_a_pool_grows_and_shrinks_by_command(project: Project) -> None:
    with project.worker("-c", "1"):
        project.app.control.broadcast("pool_grow", {"n": 2}, reply=True, timeout=DEADLINE_S, limit=1)
        processes(project, 3)
        project.app.control.broadcast("pool_shrink", {"n": 2}, reply=True, timeout=DEADLINE_S, limit=1)
        processes(project, 1)

        assert project.proj.add.delay(1, 1).get(timeout=DEADLINE_S) == 2
