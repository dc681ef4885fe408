"""The solo pool runs jobs in the loop's thread, one per turn."""

import os
from collections.abc import Iterator

import pytest

from celery_rs.errors import NotSupported
from celery_rs.execution import Outcome, Tell, Work
from celery_rs.wire import TaskResult
from celery_rs.worker.pools import Duties, Finished, Progress, Returned, SoloPool, Started
from tests.recovery.pool_driver import Driver, always, job, success


def run(work: Work, tell: Tell) -> Outcome:
    if work.task == "telling":
        tell(TaskResult(work.id, "HALF", 0, b"meta"))
    return success(work, str(os.getpid()))


@pytest.fixture
def driver() -> Iterator[Driver]:
    driver = Driver(SoloPool(Duties(run, always)))
    yield driver
    driver.close()


def test_jobs_run_in_this_process_in_order(driver: Driver) -> None:
    driver.run([job(str(n)) for n in range(5)], batch=4)

    assert driver.finished() == [str(n) for n in range(5)]
    assert {outcome.text for outcome in driver.outcomes()} == {str(os.getpid())}


def test_nothing_runs_inside_submit(driver: Driver) -> None:
    driver.pool.submit([job("1")], batch=1)

    assert driver.events == []
    assert driver.pool.room(batch=8) == 0


def test_what_is_told_comes_before_the_end(driver: Driver) -> None:
    driver.run([job("1", "telling", announce=True)])

    assert [type(event) for event in driver.events] == [Started, Progress, Finished]


def test_what_has_not_started_can_be_taken_back(driver: Driver) -> None:
    driver.pool.submit([job("1")], batch=1)
    driver.pool.recall(["other"])
    driver.pool.interrupt("1", "hard")
    driver.run([job("2")])

    assert driver.events[0] == Returned(["1"])
    assert driver.finished() == ["2"]


def test_more_than_there_is_room_for_returns(driver: Driver) -> None:
    driver.pool.submit([job("1"), job("2")], batch=2)

    assert driver.returned() == ["2"]


def test_it_cannot_grow(driver: Driver) -> None:
    with pytest.raises(NotSupported, match="prefork"):
        driver.pool.resize(2)


def test_hooks_surround_its_life() -> None:
    calls: list[str] = []
    duties = Duties(
        run, always, [lambda index: calls.append(f"enter {index}")], [lambda code: calls.append(f"leave {code}")]
    )

    driver = Driver(SoloPool(duties))
    driver.run([job("1")])
    driver.close()

    assert calls == ["enter 0", "leave 0"]
