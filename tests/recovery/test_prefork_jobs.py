"""Jobs go down to real child processes and outcomes come back up."""

import os
import resource
import signal
import sys
import time
from pathlib import Path

import pytest

from celery_rs.execution import Outcome, Tell, Work
from celery_rs.transports import Outgoing, Route
from celery_rs.wire import ChordPart, Message, TaskResult
from celery_rs.worker.pools import Duties, Finished, Lost, PreforkPool, Progress, Returned, Started
from tests.recovery.pool_driver import PATIENCE_S, Driver, always, children, is_alive, job, prefork, processes, success


def test_jobs_run_in_children_and_their_outcomes_come_back() -> None:
    def run(work: Work, tell: Tell) -> Outcome:
        return success(work, str(os.getpid()))

    with prefork(run, 2) as driver:
        pids = children(driver, 2)
        driver.run([job(str(n)) for n in range(20)])

    assert sorted(driver.finished(), key=int) == [str(n) for n in range(20)]
    assert {int(outcome.text) for outcome in driver.outcomes()} <= set(pids)


def test_a_process_that_a_task_forked_and_did_not_end_tells_nothing() -> None:
    def run(work: Work, tell: Tell) -> Outcome:
        if work.task == "forks" and (copy := os.fork()):
            return success(work, str(os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1])))
        return success(work)

    with prefork(run) as driver:
        driver.run([job("1", "forks"), job("2")])

    assert [(outcome.tag, outcome.text) for outcome in driver.outcomes()] == [("1", "1"), ("2", "")]


def test_an_outcome_crosses_with_everything_in_it() -> None:
    message = Message("next", "id-2", b"body", "tag-2", stamped_headers=["a"], headers=b"{}")
    everything = Outcome(
        "1",
        "failure",
        "FAILURE",
        1.5,
        "text",
        "traceback",
        TaskResult("id-1", "FAILURE", 2, b"meta"),
        [Outgoing(message, Route("", "celery"), 12.5, "once", 99.0)],
        ChordPart("group", "id-1", None, "FAILURE", b"part"),
    )

    with prefork(lambda work, tell: everything) as driver:
        driver.run([job("1")])

    assert driver.outcomes() == [everything]
    assert isinstance(driver.outcomes()[0].followups[0].message, Message)


def test_texts_and_numbers_of_users_own_types_cross_as_plain_ones() -> None:
    class Lazy(str):
        __slots__ = ()

    with prefork(lambda work, tell: success(work, Lazy("translated"))) as driver:
        driver.run([job("1")])

    assert driver.outcomes()[0].text == "translated"
    assert type(driver.outcomes()[0].text) is str


def test_a_process_that_a_task_forked_never_serves_in_its_childs_place() -> None:
    def run(work: Work, tell: Tell) -> Outcome:
        copy = os.fork() if work.tag == "0" else 0
        return success(work, f"{os.getpid()} {copy}")

    with prefork(run) as driver:
        (pid,) = children(driver, 1)
        driver.run([job("0")])
        copy = int(driver.outcomes()[0].text.split()[1])
        driver.glimpse(lambda: not is_alive(copy))
        driver.run([job(str(n)) for n in range(1, 50)])

    assert driver.finished() == [str(n) for n in range(50)]
    assert {int(outcome.text.split()[0]) for outcome in driver.outcomes()} == {pid}


def test_a_batch_runs_in_order_in_one_child() -> None:
    with prefork(lambda work, tell: success(work)) as driver:
        driver.run([job(str(n)) for n in range(500)], batch=32)

    assert driver.finished() == [str(n) for n in range(500)]


def test_one_at_a_time_means_nothing_queues_behind_a_running_job() -> None:
    reader, writer = os.pipe()

    def run(work: Work, tell: Tell) -> Outcome:
        os.read(reader, 1)
        return success(work)

    with prefork(run, 2) as driver:
        children(driver, 2)
        room = driver.pool.room(batch=1)
        driver.pool.submit([job("1")], batch=1)
        left = driver.pool.room(batch=1), driver.pool.room(batch=8)
        os.write(writer, b"x")
        driver.until(lambda: driver.finished() == ["1"])

    assert room == 2
    assert left == (1, 8)


def test_jobs_are_spread_over_the_children() -> None:
    def run(work: Work, tell: Tell) -> Outcome:
        return success(work, str(os.getpid()))

    with prefork(run, 2) as driver:
        children(driver, 2)
        driver.pool.submit([job(str(n)) for n in range(8)], batch=32)
        driver.until(lambda: len(driver.finished()) == 8)

    assert len({outcome.text for outcome in driver.outcomes()}) == 2


def test_a_megabyte_goes_down_and_five_come_up() -> None:
    def run(work: Work, tell: Tell) -> Outcome:
        return success(work, work.body.decode() * 5)

    with prefork(run) as driver:
        driver.run([job(str(n), body=b"x" * (1 << 20)) for n in range(3)])

    assert [len(outcome.text) for outcome in driver.outcomes()] == [5 << 20] * 3


def test_nothing_is_lost_or_reordered_when_the_ring_is_full() -> None:
    sizes = [3, 60_000, 20, 200_000, 30_000, 1]

    def run(work: Work, tell: Tell) -> Outcome:
        return success(work, "x" * sizes[int(work.tag) % len(sizes)])

    with prefork(run) as driver:
        driver.run([job(str(n)) for n in range(120)], batch=60)

    assert driver.finished() == [str(n) for n in range(120)]
    assert [len(outcome.text) for outcome in driver.outcomes()] == [sizes[n % len(sizes)] for n in range(120)]


def test_an_announced_job_says_that_it_has_started_before_it_ends() -> None:
    before = time.monotonic()

    with prefork(lambda work, tell: success(work)) as driver:
        (pid,) = children(driver, 1)
        driver.run([job("1", announce=True)])

    started, finished = driver.events
    assert isinstance(started, Started)
    assert isinstance(finished, Finished)
    assert (started.tag, started.pid) == ("1", pid)
    assert before < started.began_at < time.monotonic()


def test_progress_is_heard_while_the_job_runs_and_in_order() -> None:
    reader, writer = os.pipe()

    def run(work: Work, tell: Tell) -> Outcome:
        tell(TaskResult(work.id, "HALF", 0, b"small"))
        tell(TaskResult(work.id, "MOST", 0, b"large" * 100_000))
        os.read(reader, 1)
        tell(TaskResult(work.id, "DONE", 0, b"small"))
        return success(work)

    with prefork(run) as driver:
        driver.until(lambda: driver.pool.room(batch=1))
        driver.pool.submit([job("1")], batch=1)
        driver.until(lambda: len(driver.of(Progress)) == 2)
        os.write(writer, b"x")
        driver.until(driver.finished)

    assert [event.record.state for event in driver.of(Progress)] == ["HALF", "MOST", "DONE"]
    assert isinstance(driver.events[-1], Finished)


def test_what_waits_behind_a_long_job_returns_and_what_finished_before_it_is_heard() -> None:
    reader, writer = os.pipe()

    def run(work: Work, tell: Tell) -> Outcome:
        if work.task == "long":
            os.read(reader, 1)
        return success(work)

    with prefork(run) as driver:
        driver.until(lambda: driver.pool.room(batch=32))
        jobs = [job(str(n), "long" if n == 3 else "short") for n in range(10)]
        driver.pool.submit(jobs, batch=32)
        driver.until(driver.returned)
        heard, room = driver.finished(), driver.pool.room(batch=32)
        running = [running.tag for running in driver.pool.running()]
        os.write(writer, b"x")
        driver.until(lambda: "3" in driver.finished())
        driver.pool.submit(jobs[4:], batch=32)
        driver.until(lambda: len(driver.finished()) == 10)

    assert heard == ["0", "1", "2"]
    assert driver.returned() == [str(n) for n in range(4, 10)]
    assert running == ["3"]
    assert room == 0
    assert driver.finished() == [str(n) for n in range(10)]


def test_a_recall_returns_only_what_was_asked_for_and_has_not_started() -> None:
    reader, writer = os.pipe()

    def run(work: Work, tell: Tell) -> Outcome:
        os.read(reader, 1)
        return success(work)

    with prefork(run) as driver:
        driver.until(lambda: driver.pool.room(batch=4))
        driver.pool.submit([job(str(n)) for n in range(4)], batch=4)
        driver.glimpse(driver.pool.running)
        driver.pool.recall(["0", "2"])
        returned = driver.returned()
        driver.pool.recall()
        os.write(writer, b"xxxx")
        driver.until(driver.finished)

    assert returned == ["2"]
    assert driver.of(Returned)[0].tags == ["2"]
    assert sorted(driver.returned()) == ["1", "2", "3"]
    assert driver.finished() == ["0"]


def test_a_child_is_replaced_after_the_most_tasks_it_may_run() -> None:
    def run(work: Work, tell: Tell) -> Outcome:
        return success(work, str(os.getpid()))

    with prefork(run, max_tasks_per_child=3) as driver:
        driver.run([job(str(n)) for n in range(7)], batch=32)

    pids = [outcome.text for outcome in driver.outcomes()]
    assert driver.finished() == [str(n) for n in range(7)]
    assert [len(set(pids[start : start + 3])) for start in (0, 3, 6)] == [1, 1, 1]
    assert len(set(pids)) == 3


def test_a_pool_grows_and_shrinks() -> None:
    with prefork(lambda work, tell: success(work), 2) as driver:
        before = children(driver, 2)
        driver.pool.resize(4)
        grown = children(driver, 4)
        driver.pool.resize(1)
        shrunk = children(driver, 1)
        driver.until(lambda: sum(map(is_alive, grown)) == 1)
        driver.run([job("1")])

    assert set(before) < set(grown)
    assert set(shrunk) < set(grown)
    assert driver.pool.size == 1


def test_what_a_child_printed_is_not_lost_with_it(capfd: pytest.CaptureFixture[str]) -> None:
    def run(work: Work, tell: Tell) -> Outcome:
        sys.stdout.write("hello from the task")
        return success(work)

    with prefork(run) as driver:
        driver.run([job("1")])

    assert capfd.readouterr().out.count("hello from the task") == 1


def test_children_ignore_the_terminal() -> None:
    with prefork(lambda work, tell: success(work), 2) as driver:
        pids = children(driver, 2)
        for pid in pids:
            os.kill(pid, signal.SIGINT)
        driver.run([job(str(n)) for n in range(4)])

        assert children(driver, 2) == pids


def test_a_pool_can_shrink_to_nothing_and_grow_again() -> None:
    with prefork(lambda work, tell: success(work), 2) as driver:
        before = children(driver, 2)
        driver.pool.resize(0)
        driver.until(lambda: not any(map(is_alive, before)))
        room = driver.pool.room(batch=1)
        driver.pool.resize(2)
        driver.run([job(str(n)) for n in range(4)])

    assert room == 0
    assert sorted(driver.finished()) == ["0", "1", "2", "3"]


def test_a_pool_has_room_to_grow_and_says_how_much() -> None:
    with prefork(lambda work, tell: success(work), 1) as driver, pytest.raises(ValueError, match="0 to 33 processes"):
        driver.pool.resize(34)


def test_a_child_that_is_too_many_finishes_its_job_and_what_waited_behind_it_returns(tmp_path: Path) -> None:
    def run(work: Work, tell: Tell) -> Outcome:
        while not (tmp_path / "go").exists():
            time.sleep(0.001)  # a file is the one signal that reaches a child here
        return success(work)

    with prefork(run, 2) as driver:
        children(driver, 2)
        driver.pool.submit([job(str(n)) for n in range(4)], batch=2)
        driver.until(lambda: len(driver.pool.running()) == 2)
        driver.pool.resize(1)
        driver.until(lambda: driver.returned())
        (tmp_path / "go").touch()
        driver.until(lambda: len(driver.finished()) >= 2)
        driver.until(lambda: len(processes(driver)) == 1)

    assert not driver.of(Lost)


def test_a_restart_replaces_every_child_and_loses_nothing(tmp_path: Path) -> None:
    def run(work: Work, tell: Tell) -> Outcome:
        while not (tmp_path / "go").exists():
            time.sleep(0.001)  # a file is the one signal that reaches a child here
        return success(work, str(os.getpid()))

    with prefork(run, 2) as driver:
        before = children(driver, 2)
        driver.pool.submit([job("1")], batch=1)
        driver.until(driver.pool.running)
        driver.pool.restart()
        (tmp_path / "go").touch()
        driver.until(lambda: not any(map(is_alive, before)))
        driver.run([job("2")])
        after = children(driver, 2)

    assert driver.finished() == ["1", "2"]
    assert not set(before) & set(after)
    assert not driver.of(Lost)


def test_a_child_that_needs_too_much_memory_is_replaced_and_what_it_did_not_start_runs_elsewhere() -> None:
    def run(work: Work, tell: Tell) -> Outcome:
        if work.tag == "1":
            bytearray(192 << 20).count(1)  # touches every page of it
        return success(work, str(os.getpid()))

    resident = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() // 1024
    duties = Duties(run, always, most_memory=resident + (64 << 10))
    driver = Driver(PreforkPool(duties, 1, alive_within=PATIENCE_S))
    (before,) = children(driver, 1)
    driver.run([job(str(n)) for n in range(1, 5)], batch=4)
    driver.until(lambda: not is_alive(before))
    driver.close()

    pids = [outcome.text for outcome in driver.outcomes()]
    assert driver.finished() == ["1", "2", "3", "4"]
    assert (pids[0], before in map(int, pids[1:])) == (str(before), False)


def test_hooks_surround_the_life_of_a_child_and_know_its_place(tmp_path: Path) -> None:
    def note(text: str) -> None:
        with (tmp_path / "notes").open("a") as file:
            file.write(f"{text}\n")

    duties = Duties(
        lambda work, tell: success(work),
        always,
        enter=[lambda index: note(f"enter {index}")],
        leave=[lambda code: note(f"leave {code}")],
        before_fork=[lambda pool: note("fork")],
    )
    driver = Driver(PreforkPool(duties, 1, alive_within=PATIENCE_S, max_tasks_per_child=1))
    driver.run([job("1"), job("2")])
    driver.close()

    notes = (tmp_path / "notes").read_text().splitlines()
    assert notes[:3] == ["fork", "fork", "enter 1"]
    assert "leave 0" in notes
    assert set(notes) == {"fork", "enter 1", "leave 0"}
