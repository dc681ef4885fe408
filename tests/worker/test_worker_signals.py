"""What a worker's signals say, where and when: real workers, receivers that note it."""

import os
import signal

import pytest

from tests.deadlines import DEADLINE_S, eventually
from tests.worker.process import Project

HOOKED = ("-I", "tests.worker.hooked")


def life(project: Project) -> list[str]:
    """What was told, without who told it."""
    return [line.partition(" ")[2] for line in project.lines("life")]


def test_a_worker_tells_of_its_life_in_order(project: Project) -> None:
    with project.worker("-c", "1", *HOOKED) as worker:
        project.proj.add.delay(1, 1).get(timeout=DEADLINE_S)
        node = life(project)[0].split()[1]
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(DEADLINE_S) == 0

    here = [line.partition(" ")[2] for line in project.lines("life") if line.startswith(f"{worker.pid} ")]
    assert here == [
        f"celeryd_init {node} {node} 1",
        f"worker_init {node}",
        f"celeryd_after_setup {node} ['celery']",
        "worker_before_create_process",
        f"worker_ready {node} proj",
        f"worker_shutting_down {node} SIGTERM Warm 0",
        f"worker_shutdown {node}",
    ]


def test_each_process_tells_of_its_beginning_and_end_and_has_what_worker_init_loaded(project: Project) -> None:
    with project.worker("-c", "2", *HOOKED) as worker:
        eventually(lambda: sum("worker_process_init" in line for line in life(project)) == 2)
        worker.send_signal(signal.SIGTERM)
        worker.wait(DEADLINE_S)

    told = [line.split() for line in project.lines("life")]
    began = {pid: words for pid, name, *words in told if name == "worker_process_init"}
    ended = {pid: words for pid, name, *words in told if name == "worker_process_shutdown"}
    forks = [pid for pid, name, *_ in told if name == "worker_before_create_process"]
    assert began.keys() == ended.keys()
    assert [words[1] for words in began.values()] == ["True", "True"]
    assert [words[1:] for words in ended.values()] == [["True", "0"]] * 2
    assert (len(forks), forks[0]) == (3, str(worker.pid))


def test_a_solo_worker_tells_that_its_process_begins_and_ends(project: Project) -> None:
    with project.worker("-P", "solo", *HOOKED) as worker:
        project.proj.add.delay(1, 1).get(timeout=DEADLINE_S)
        worker.send_signal(signal.SIGINT)
        assert worker.wait(DEADLINE_S) == 1

    told = life(project)
    assert sum("worker_process_init" in line for line in told) == 1
    assert any(line.endswith("SIGINT Warm 1") for line in told)
    assert any("worker_process_shutdown" in line for line in told)


def test_a_receiver_that_hangs_costs_its_process_and_no_more(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROJ_HANGS", "1")

    with project.worker("-c", "1", *HOOKED, settings={"worker_proc_alive_timeout": 0.5}):
        assert project.proj.add.delay(1, 1).get(timeout=DEADLINE_S) == 2

    assert "is starting for too long; it is killed" in project.log()
    assert len(project.lines("hung")) == 1


def test_the_stacks_of_all_threads_are_printed_on_request(project: Project) -> None:
    with project.worker("-c", "1") as worker:
        assert project.proj.add.delay(1, 1).get(timeout=DEADLINE_S) == 2  # by then its loop runs
        worker.send_signal(signal.SIGUSR1)
        eventually(lambda: "receiver\n====" in project.log())
        eventually(lambda: "MainThread\n====" in project.log())

        assert project.proj.add.delay(2, 2).get(timeout=DEADLINE_S) == 4
    assert "worker/loop.py" in project.log()


def test_hangup_starts_a_worker_anew_in_the_same_process(project: Project) -> None:
    with project.worker("-c", "1") as worker:
        running = project.proj.hold.delay("running")
        project.saw("running.started")
        worker.send_signal(signal.SIGHUP)
        eventually(lambda: "Restarting celery worker" in project.log())
        project.let_go("running")
        eventually(lambda: project.log().count(" ready.") == 2)

        assert running.get(timeout=DEADLINE_S) == "running"
        assert project.proj.add.delay(2, 2).get(timeout=DEADLINE_S) == 4
        assert worker.poll() is None
        os.kill(worker.pid, signal.SIGTERM)
        assert worker.wait(DEADLINE_S) == 0


def test_hangups_that_come_while_a_worker_restarts_do_not_kill_it(project: Project) -> None:
    with project.worker("-c", "1") as worker:

        def hang_up() -> bool:
            worker.send_signal(signal.SIGHUP)
            worker.send_signal(signal.SIGUSR1)
            return worker.poll() is not None or project.log().count(" ready.") >= 2

        eventually(hang_up)

        assert worker.poll() is None
        assert project.proj.add.delay(2, 2).get(timeout=DEADLINE_S) == 4
