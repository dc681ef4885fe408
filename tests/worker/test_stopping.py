"""How a worker ends, politely and otherwise, and what becomes of what it held."""

import os
import signal

import pytest

from celery_rs.errors import WorkerLostError
from celery_rs.transports import QueueInfo
from tests.deadlines import DEADLINE_S, eventually
from tests.worker.process import Project

pools = pytest.mark.parametrize("pool", ["prefork", "solo"])


def counts(project: Project) -> QueueInfo:
    found: QueueInfo = project.app.transport.queues(["celery"])["celery"]
    return found


def test_a_warm_shutdown_finishes_what_runs_and_returns_the_rest(project: Project) -> None:
    with project.worker("-c", "1", "--prefetch-multiplier", "4") as worker:
        running = project.proj.hold.delay("running")
        project.saw("running.started")
        waiting = [project.proj.add.delay(1, 1) for _ in range(3)]
        eventually(lambda: (counts(project).held or 0) >= 3)

        worker.send_signal(signal.SIGTERM)
        eventually(lambda: counts(project).ready == 3)
        project.let_go("running")

        assert worker.wait(DEADLINE_S) == 0
    assert running.get(timeout=1) == "running"
    assert {result.state for result in waiting} == {"PENDING"}
    assert "Warm shutdown" in project.log()


def test_what_a_warm_shutdown_returned_runs_elsewhere(project: Project) -> None:
    with project.worker("-c", "1", "--prefetch-multiplier", "4", name="first") as worker:
        project.proj.hold.delay("running")
        project.saw("running.started")
        waiting = [project.proj.add.delay(n, n) for n in range(3)]
        worker.send_signal(signal.SIGTERM)
        with project.worker("-c", "1", name="second"):
            assert [result.get(timeout=DEADLINE_S) for result in waiting] == [0, 2, 4]
        project.let_go("running")
        worker.wait(DEADLINE_S)


def test_interrupt_is_warm_with_exit_code_1(project: Project) -> None:
    with project.worker("-c", "1") as worker:
        worker.send_signal(signal.SIGINT)

        assert worker.wait(DEADLINE_S) == 1


def test_a_cold_shutdown_returns_late_work_at_once(project: Project) -> None:
    with project.worker("-c", "1") as worker:
        result = project.proj.hold_late.delay("cold")
        project.saw("cold.started")

        worker.send_signal(signal.SIGQUIT)

        assert worker.wait(DEADLINE_S) == 1
    found = project.app.transport.find(result.id)
    assert found is not None
    assert (found.state, found.crashes) == ("ready", 0)
    assert project.lines("cold.ended") == []


def test_a_cold_shutdown_tells_the_caller_of_early_work(project: Project) -> None:
    with project.worker("-c", "1") as worker:
        result = project.proj.hold.delay("cold")
        project.saw("cold.started")
        worker.send_signal(signal.SIGQUIT)
        worker.wait(DEADLINE_S)

    with pytest.raises(WorkerLostError):
        result.get(timeout=1)


def test_what_a_killed_worker_held_is_taken_over_at_once(project: Project) -> None:
    with project.worker("-c", "1", "--prefetch-multiplier", "8", name="first") as worker:
        project.proj.hold.delay("blocker")
        waiting = [project.proj.add.delay(n, n) for n in range(5)]
        eventually(lambda: (counts(project).begun, counts(project).held) == (1, 5))
        worker.kill()
        worker.wait()
        with project.worker("-c", "1", name="second"):
            assert [result.get(timeout=DEADLINE_S) for result in waiting] == [0, 2, 4, 6, 8]


@pools
def test_late_work_of_a_killed_worker_runs_again_with_a_crash_mark(project: Project, pool: str) -> None:
    with project.worker("-c", "1", "-P", pool, name="first") as worker:
        result = project.proj.hold_late.delay("late")
        project.saw("late.started")
        eventually(lambda: project.column("started") == [1])
        worker.kill()
        worker.wait()
        with project.worker("-c", "1", name="second"):
            project.saw("late.started", 2)
            assert project.app.transport.find(result.id).crashes == 1
            project.let_go("late")
            assert result.get(timeout=DEADLINE_S) == "late"

    assert len(project.lines("late.started")) == 2


@pools
def test_early_work_of_a_killed_worker_becomes_a_failure_never_silence(project: Project, pool: str) -> None:
    with project.worker("-c", "1", "-P", pool, name="first") as worker:
        result = project.proj.hold.delay("early")
        project.saw("early.started")
        eventually(lambda: project.app.transport.find(result.id).state == "begun")
        worker.kill()
        worker.wait()
        with (
            project.worker("-c", "1", name="second"),
            pytest.raises(WorkerLostError, match="the worker that ran it died"),
        ):
            result.get(timeout=DEADLINE_S)

    assert len(project.lines("early.started")) == 1


def test_a_stopped_worker_keeps_its_work_and_finishes_it_once(project: Project) -> None:
    with project.worker("-c", "1", name="first") as worker, project.worker("-c", "1", name="second"):
        results = [project.proj.hold_late.delay(f"held{n}") for n in range(2)]
        project.saw("held0.started")
        project.saw("held1.started")
        worker.send_signal(signal.SIGSTOP)
        for n in range(2):
            project.let_go(f"held{n}")
        eventually(lambda: any(result.ready() for result in results))
        worker.send_signal(signal.SIGCONT)

        assert sorted(result.get(timeout=DEADLINE_S) for result in results) == ["held0", "held1"]
    assert [len(project.lines(f"held{n}.started")) for n in range(2)] == [1, 1]


def test_no_process_outlives_a_killed_worker(project: Project) -> None:
    from tests.chaos.processes import alive, children

    with project.worker("-c", "2") as worker:
        family = children()
        nursery = family[worker.pid]
        pool = [child for parent in nursery for child in family[parent]]
        worker.kill()
        worker.wait()

        eventually(lambda: not any(alive(pid) for pid in (*nursery, *pool)))
    assert len(pool) == 2


def test_a_worker_whose_nursery_dies_gives_everything_back_and_stops(project: Project) -> None:
    from tests.chaos.processes import children

    with project.worker("-c", "1", "--prefetch-multiplier", "4") as worker:
        running = project.proj.hold.delay("running")
        project.saw("running.started")
        waiting = [project.proj.add.delay(1, 1) for _ in range(3)]
        eventually(lambda: (counts(project).held or 0) >= 3)
        (nursery,) = children()[worker.pid]

        os.kill(nursery, signal.SIGKILL)

        assert worker.wait(DEADLINE_S) == 1
    with pytest.raises(WorkerLostError, match="nursery"):
        running.get(timeout=1)
    assert {result.state for result in waiting} == {"PENDING"}
    assert counts(project).ready == 3
