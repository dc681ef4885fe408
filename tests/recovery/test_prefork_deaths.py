"""Children, siblings, the nursery and the worker die; every job is accounted for."""

import ctypes
import errno
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from celery_rs.errors import SoftTimeLimitExceeded
from celery_rs.execution import Outcome, Tell, Work
from celery_rs.wire import TaskResult
from celery_rs.worker.pools import Duties, Finished, Lost, PoolBroken, PreforkPool
from tests.recovery.pool_driver import PATIENCE_S, Driver, always, children, is_alive, job, prefork, processes, success


def segfault() -> None:
    # What Python's own handler would print belongs to no test.
    signal.signal(signal.SIGSEGV, signal.SIG_DFL)
    ctypes.string_at(0)


def kill_oneself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def leave(index: int = 0) -> None:
    os._exit(3)


@pytest.mark.parametrize(
    ("die", "how"),
    [(segfault, "signal 11 (SIGSEGV)"), (kill_oneself, "signal 9 (SIGKILL)"), (leave, "exit code 3")],
)
def test_a_death_in_a_batch_loses_only_the_job_that_ran(die: Callable[[], None], how: str) -> None:
    def run(work: Work, tell: Tell) -> Outcome:
        if work.task == "deadly":
            die()
        return success(work)

    with prefork(run) as driver:
        (pid,) = children(driver, 1)
        driver.pool.submit([job(str(n), "deadly" if n == 17 else "task") for n in range(1, 33)], batch=32)
        driver.until(driver.returned)
        first = driver.finished()
        driver.run([job("after")])

    assert first == [str(n) for n in range(1, 17)]
    assert driver.of(Lost) == [Lost("17", pid, how, None)]
    assert driver.returned() == [str(n) for n in range(18, 33)]
    assert driver.finished()[-1] == "after"


def test_a_soft_limit_interrupts_the_job_it_names_and_no_other() -> None:
    reader, writer = os.pipe()

    def run(work: Work, tell: Tell) -> Outcome:
        try:
            os.read(reader, 1)
        except SoftTimeLimitExceeded:
            return success(work, "interrupted")
        return success(work, "undisturbed")

    with prefork(run) as driver:
        driver.until(lambda: driver.pool.room(batch=4))
        driver.pool.submit([job("1"), job("2"), job("3")], batch=4)
        driver.until(driver.pool.running)
        driver.pool.interrupt("2", "soft")  # does not run yet
        driver.pool.interrupt("1", "soft")
        driver.until(lambda: "1" in driver.finished())
        os.write(writer, b"xx")
        driver.until(lambda: len(driver.finished()) + len(driver.returned()) == 3)

    texts = {outcome.tag: outcome.text for outcome in driver.outcomes()}
    assert texts.pop("1") == "interrupted"
    assert set(texts.values()) <= {"undisturbed"}
    assert not driver.of(Lost)


def test_a_soft_limit_that_arrives_after_its_job_disturbs_nobody() -> None:
    reader, writer = os.pipe()

    def run(work: Work, tell: Tell) -> Outcome:
        try:
            os.read(reader, 1)
        except SoftTimeLimitExceeded:
            return success(work, "interrupted")
        return success(work, "undisturbed")

    with prefork(run) as driver:
        (child,) = children(driver, 1)
        driver.pool.submit([job("1")], batch=1)
        driver.until(driver.pool.running)
        os.kill(child, signal.SIGUSR1)  # it was aimed at the job before
        os.write(writer, b"x")
        driver.until(driver.finished)

    assert [outcome.text for outcome in driver.outcomes()] == ["undisturbed"]


def test_a_soft_limit_that_comes_while_progress_is_told_waits_until_that_is_written() -> None:
    def run(work: Work, tell: Tell) -> Outcome:
        told = 0
        try:
            while True:
                tell(TaskResult(work.id, "PROGRESS", 0, b"x" * (told % 7) * 10_000))
                told += 1
        except SoftTimeLimitExceeded:
            return success(work, str(told))

    with prefork(run) as driver:
        driver.until(lambda: driver.pool.room(batch=1))
        for n in range(20):
            driver.pool.submit([job(str(n))], batch=1)
            driver.until(driver.pool.running)
            driver.pool.interrupt(str(n), "soft")
            wait_for_end(driver, str(n))

    assert len(driver.finished()) == 20


def test_a_hard_kill_of_one_child_leaves_its_sibling_alone() -> None:
    reader, writer = os.pipe()

    def run(work: Work, tell: Tell) -> Outcome:
        os.read(reader, 1)
        return success(work, str(os.getpid()))

    with prefork(run, 2) as driver:
        children(driver, 2)
        driver.pool.submit([job("1"), job("2")], batch=1)
        driver.until(lambda: len(driver.pool.running()) == 2)
        pids = {running.tag: running.pid for running in driver.pool.running()}
        driver.pool.interrupt("1", "hard")
        driver.until(lambda: driver.of(Lost))
        os.write(writer, b"xx")
        driver.until(lambda: "2" in driver.finished())
        driver.run([job("3")])

    assert driver.of(Lost) == [Lost("1", pids["1"], "signal 9 (SIGKILL)", "hard")]
    assert driver.outcomes()[0].text == str(pids["2"])
    assert "3" in driver.finished()


def test_jobs_behind_a_killed_one_return_at_once() -> None:
    reader, _ = os.pipe()

    def run(work: Work, tell: Tell) -> Outcome:
        os.read(reader, 1)
        return success(work)

    with prefork(run) as driver:
        driver.until(lambda: driver.pool.room(batch=4))
        driver.pool.submit([job("1"), job("2"), job("3")], batch=4)
        driver.until(driver.pool.running)
        driver.pool.interrupt("1", signal.SIGTERM)
        returned = driver.returned()
        driver.until(lambda: driver.of(Lost))

    assert returned == ["2", "3"]
    assert [(lost.tag, lost.by_us) for lost in driver.of(Lost)] == [("1", "terminate")]


def test_a_job_that_ignores_a_signal_ends_in_peace_and_its_child_is_replaced() -> None:
    reader, writer = os.pipe()
    ready, is_ready = os.pipe()

    def run(work: Work, tell: Tell) -> Outcome:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.write(is_ready, b"x")
        os.read(reader, 1)
        return success(work, str(os.getpid()))

    with prefork(run) as driver:
        (before,) = children(driver, 1)
        driver.pool.submit([job("1")], batch=1)
        driver.until(driver.pool.running)
        os.read(ready, 1)
        driver.pool.interrupt("1", signal.SIGTERM)
        os.write(writer, b"xx")
        driver.until(driver.finished)
        driver.until(lambda: not is_alive(before))
        driver.run([job("2")])

    assert driver.finished() == ["1", "2"]
    assert driver.outcomes()[0].text == str(before)
    assert driver.outcomes()[1].text != str(before)


def test_children_that_die_before_they_can_work_break_the_pool() -> None:
    driver = Driver(PreforkPool(Duties(lambda work, tell: success(work), always, enter=[leave]), 1))

    driver.until(lambda: driver.of(PoolBroken))
    room = driver.pool.room(batch=1)
    driver.close()

    assert "5 pool processes in a row" in driver.of(PoolBroken)[0].reason
    assert "exit code 3" in driver.of(PoolBroken)[0].reason
    assert room == 0


def test_a_child_that_is_never_ready_is_killed() -> None:
    blocked, _ = os.pipe()

    def hang(index: int) -> None:
        os.read(blocked, 1)

    driver = Driver(
        PreforkPool(
            Duties(lambda work, tell: success(work), always, enter=[hang]),
            1,
            alive_within=0.05,
        )
    )

    driver.until(lambda: driver.of(PoolBroken))
    driver.close()

    assert "SIGKILL" in driver.of(PoolBroken)[0].reason


def test_a_pool_that_cannot_fork_breaks_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    fork = os.fork
    forks: list[str] = []

    def fork_once() -> int:
        if forks:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        forks.append("the nursery")
        return fork()

    monkeypatch.setattr(os, "fork", fork_once)

    with prefork(lambda work, tell: success(work)) as driver:
        driver.until(lambda: driver.of(PoolBroken))

    assert "fork failed: Resource temporarily unavailable" in driver.of(PoolBroken)[0].reason


def test_a_child_that_scribbles_over_its_page_is_killed_and_replaced() -> None:
    pools: list[PreforkPool] = []

    def run(work: Work, tell: Tell) -> Outcome:
        if work.task == "scribble":
            pools[0]._pages[0].push(b"nonsense")
        return success(work)

    with prefork(run) as driver:
        assert isinstance(driver.pool, PreforkPool)
        pools.append(driver.pool)
        (before,) = children(driver, 1)
        driver.pool.submit([job("1", "scribble")], batch=1)
        driver.until(lambda: driver.of(Lost))
        driver.run([job("2")])

        assert children(driver, 1) != [before]

    assert [lost.tag for lost in driver.of(Lost)] == ["1"]
    assert driver.finished() == ["2"]


def test_the_nursery_takes_its_children_with_it_and_the_pool_says_so() -> None:
    with prefork(lambda work, tell: success(work), 2) as driver:
        pids = children(driver, 2)
        driver.run([job("1")])
        nursery = parent_of(pids[0])
        os.kill(nursery, signal.SIGKILL)
        driver.until(lambda: driver.of(PoolBroken))
        driver.until(lambda: not any(map(is_alive, [nursery, *pids])))
        driver.pool.submit([job("2")], batch=1)

    assert driver.of(PoolBroken) == [PoolBroken(f"the nursery (pid {nursery}) died: signal 9 (SIGKILL)")]
    assert driver.returned() == ["2"]


def test_jobs_end_or_return_when_the_nursery_dies() -> None:
    def run(work: Work, tell: Tell) -> Outcome:
        time.sleep(PATIENCE_S)  # longer than the test
        return success(work)

    with prefork(run) as driver:
        (pid,) = children(driver, 1)
        driver.pool.submit([job("runs"), job("waits")], batch=2)
        driver.until(lambda: driver.pool.running())
        os.kill(parent_of(pid), signal.SIGKILL)
        driver.until(lambda: driver.of(PoolBroken))

    assert [(lost.tag, lost.by_us) for lost in driver.of(Lost)] == [("runs", None)]
    assert driver.returned() == ["waits"]


def test_a_worker_killed_leaves_no_process_behind(tmp_path: Path) -> None:
    script = """
        import os, sys, time
        from tests.recovery.pool_driver import children, job, prefork

        def run(work, tell):
            while True:
                time.sleep(60)

        with prefork(run, 2) as driver:
            pids = children(driver, 2)
            driver.pool.submit([job("1")], batch=1)
            driver.until(driver.pool.running)
            nursery = int(open(f"/proc/{pids[0]}/stat").read().rpartition(")")[2].split()[1])
            print(nursery, *pids, flush=True)
            time.sleep(60)
    """
    worker = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    pids = [int(pid) for pid in worker.stdout.readline().split()]

    worker.kill()
    worker.wait()
    worker.stdout.close()

    deadline = time.monotonic() + PATIENCE_S
    while any(map(is_alive, pids)):
        assert time.monotonic() < deadline
    assert len(pids) == 3


def test_stopping_ends_every_process_and_lets_idle_children_say_goodbye(tmp_path: Path) -> None:
    reader, _ = os.pipe()

    def run(work: Work, tell: Tell) -> Outcome:
        os.read(reader, 1)
        return success(work)

    driver = Driver(PreforkPool(Duties(run, always, leave=[lambda code: (tmp_path / str(os.getpid())).touch()]), 2))
    pids = children(driver, 2)
    driver.pool.submit([job("1")], batch=1)
    driver.until(driver.pool.running)
    busy = driver.pool.running()[0].pid

    driver.pool.stop()
    driver.close()

    assert not any(map(is_alive, pids))
    assert {path.name for path in tmp_path.iterdir()} == {str(pid) for pid in pids if pid != busy}


def test_finished_outcomes_survive_the_death_of_an_idle_child() -> None:
    with prefork(lambda work, tell: success(work)) as driver:
        for n in range(10):
            (pid,) = children(driver, 1)
            driver.pool.submit([job(str(n))], batch=1)
            os.kill(pid, signal.SIGKILL)
            wait_for_end(driver, str(n), pid)
            driver.run([job(f"{n}+")])  # or five of them would be stillborn in a row

    lost, back = {lost.tag for lost in driver.of(Lost)}, set(driver.returned())
    assert len(driver.of(Finished)) + len(lost) + len(back) == 20
    assert {*driver.finished(), *lost, *back} == {f"{n}{plus}" for n in range(10) for plus in ("", "+")}


def wait_for_end(driver: Driver, tag: str, pid: int = 0) -> None:
    """Until the job is accounted for and the process, if one is named, has left the pool."""
    driver.until(lambda: tag in {*driver.ended(), *driver.returned()} and pid not in processes(driver))


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
