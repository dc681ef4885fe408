"""Children are killed at random while batches run: every job ends exactly once."""

import os
import random
import signal
import time
from collections import Counter
from contextlib import suppress

import pytest

from celery_rs.execution import Outcome, Tell, Work
from celery_rs.worker.pools import Lost, PoolBroken
from tests.recovery.pool_driver import PATIENCE_S, children, job, prefork, processes, success

JOBS = 4000
KILLS = 25


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("most", [None, 50])
def test_every_job_ends_exactly_once_while_children_are_killed_at_random(seed: int, most: int | None) -> None:
    dice = random.Random(seed)

    def run(work: Work, tell: Tell) -> Outcome:
        # Mostly small, some that fill the ring, and now and then one so long that its neighbours are recalled.
        n = int(work.tag)
        if n % 500 == 499:
            signal.sigtimedwait([], 0.03)
        return success(work, "x" * (40_000 if n % 97 == 0 else n % 50))

    with prefork(run, 3, max_tasks_per_child=most) as driver:
        children(driver, 3)
        waiting = [job(str(n)) for n in range(JOBS)]
        by_tag = {job.tag: job for job in waiting}
        kills, heard = 0, 0
        deadline = time.monotonic() + PATIENCE_S
        while len(driver.finished()) + len(driver.of(Lost)) < JOBS:
            assert time.monotonic() < deadline
            room = driver.pool.room(batch=32)
            driver.pool.submit(waiting[:room], batch=32)
            del waiting[:room]
            driver.turn(deadline)
            waiting = [by_tag[tag] for tag in driver.returned()[heard:]] + waiting
            heard = len(driver.returned())
            if kills < KILLS and len(driver.finished()) > kills * JOBS // KILLS and (pids := processes(driver)):
                with suppress(ProcessLookupError):  # the last one killed may not have been missed yet
                    os.kill(dice.choice(pids), signal.SIGKILL)
                    kills += 1

    ends = Counter([*driver.finished(), *(lost.tag for lost in driver.of(Lost))])
    assert ends == Counter(str(n) for n in range(JOBS))
    assert kills == KILLS
    assert len(driver.of(Lost)) <= KILLS
    assert not driver.of(PoolBroken)
