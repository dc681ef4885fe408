"""Workers on a Redis and their children are killed, or stopped past a lease: nothing is lost, nothing is done twice."""

import os
import random
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from celery_rs.errors import WorkerLostError
from tests.chaos import processes
from tests.deadlines import DEADLINE_S, eventually
from tests.recovery.redis_fleet import EARLY, LATE, Fleet, end
from tests.redis_server import OwnRedis
from tests.stopping import stop

RETURNED = "returned 999 message(s) of dead workers to their queues"


def test_what_a_killed_worker_held_is_back_within_half_a_minute(tmp_path: Path, own_redis: OwnRedis) -> None:
    with Fleet(tmp_path, own_redis) as fleet:
        blocking = fleet.send(EARLY, 60.0)
        held = fleet.send_many(LATE, 999)
        with fleet.worker("one", "-c", "1", "--prefetch-multiplier", "1000") as one:
            eventually(lambda: (fleet.queue().held, fleet.queue().begun) == (999, 1))
            with fleet.worker("two", "-c", "1"):
                one.kill()
                eventually(lambda: RETURNED in fleet.log("two"))
                fleet.wait_for(held)
                eventually(fleet.empty)
                with pytest.raises(WorkerLostError):
                    blocking.get(timeout=DEADLINE_S)

        assert fleet.read().repeated() == set()


def test_nothing_is_lost_while_children_and_workers_are_killed_at_any_moment(
    tmp_path: Path, own_redis: OwnRedis
) -> None:
    chance = random.Random(4)
    with Fleet(tmp_path, own_redis) as fleet:
        late, early = fleet.send_many(LATE, 400, 0.002), fleet.send_many(EARLY, 400, 0.002)
        workers = [fleet.start("one", "-c", "2"), fleet.start("two", "-c", "2")]
        try:
            eventually(lambda: len(fleet.started()) > 10)
            for n in range(20):
                time.sleep(chance.uniform(0.02, 0.15))  # a kill may come at any moment
                victim = workers[n % 2]
                if n in (7, 14):
                    kill_all(victim)
                    workers[n % 2] = fleet.start(f"another{n}", "-c", "2")
                elif pool := processes.pool_of(victim.pid):
                    with suppress(ProcessLookupError):
                        os.kill(chance.choice(pool), signal.SIGKILL)
            eventually(fleet.empty)
        finally:
            for worker in workers:
                end(worker)

        done, records = fleet.finished(), fleet.app.backend.fetch([*late, *early])
        assert len(records) == 800
        assert [id for id in late if id not in done] == []
        assert [id for id in early if id not in done and records[id].state != "FAILURE"] == []


def test_a_worker_that_is_stopped_past_its_lease_commits_nothing_that_another_has(
    tmp_path: Path, own_redis: OwnRedis
) -> None:
    with Fleet(tmp_path, own_redis) as fleet, fleet.worker("one", "-c", "2", "--prefetch-multiplier", "20") as one:
        late = [fleet.linked(LATE, 1.0) for _ in range(6)]
        early = [fleet.linked(EARLY, 1.0) for _ in range(2)]
        eventually(lambda: len(fleet.started()) == 2 and fleet.queue().held == 8)
        stop(one.pid)
        with fleet.worker("two", "-c", "4"):
            fleet.wait_for(late)
            eventually(lambda: len(fleet.followed()) >= 6)
            one.send_signal(signal.SIGCONT)
            eventually(lambda: "held by another worker by now; their results were dropped" in fleet.log("one"))
            eventually(lambda: fleet.empty() and not started_only(fleet))
            states = {id: record.state for id, record in fleet.app.backend.fetch([*late, *early]).items()}

        assert {states[id] for id in late} == {"SUCCESS"}
        assert set(states) == {*late, *early}
        assert set(fleet.followed().values()) == {1}
        assert {id for id in states if states[id] == "SUCCESS"} == set(fleet.followed())


def kill_all(worker: "subprocess.Popen[bytes]") -> None:
    """And wait until none of its processes is there."""
    pool = processes.pool_of(worker.pid)
    worker.kill()
    worker.wait()
    eventually(lambda: not any(processes.alive(child) for child in pool))


def started_only(fleet: Fleet) -> set[str]:
    return fleet.started() - fleet.finished()
