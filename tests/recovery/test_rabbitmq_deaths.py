"""Workers on a RabbitMQ are killed: what had not begun runs elsewhere, what had begun ends as it promised."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from celery_rs.errors import WorkerLostError
from tests.deadlines import DEADLINE_S, eventually
from tests.rabbitmq_vhosts import Vhost
from tests.recovery.rabbitmq_fleet import RabbitFleet
from tests.recovery.redis_fleet import EARLY, FOLLOWED, LATE
from tests.redis_server import OwnRedis

HELD = 4_096


@contextmanager
def killed_at_work(fleet: RabbitFleet, name: str, begun: int = 1) -> "Iterator[subprocess.Popen[bytes]]":
    """A worker that is killed as soon as so many tasks are on record as begun."""
    with fleet.worker(name, "-c", "1", "--prefetch-multiplier", str(HELD + 1)) as worker:
        eventually(lambda: fleet.begun() == begun)
        yield worker
        worker.kill()
        worker.wait()


def test_what_a_killed_worker_held_runs_elsewhere_at_once(
    tmp_path: Path, some_rabbitmq: Vhost, some_redis: OwnRedis
) -> None:
    with RabbitFleet(tmp_path, some_rabbitmq, some_redis) as fleet:
        blocking = fleet.send(EARLY, 60.0)
        held = fleet.send_many(LATE, HELD)
        with killed_at_work(fleet, "one"):
            eventually(lambda: fleet.ready() == 0)
        with fleet.worker("two", "-c", "1"):
            fleet.wait_for(held)
            with pytest.raises(WorkerLostError):
                blocking.get(timeout=DEADLINE_S)
            eventually(fleet.empty)

        journal = fleet.read()
        assert journal.repeated() == set()
        assert set(journal.runs) == {blocking.id, *held}


def test_early_work_of_a_killed_worker_fails_once_and_its_errback_runs(
    tmp_path: Path, some_rabbitmq: Vhost, some_redis: OwnRedis
) -> None:
    with RabbitFleet(tmp_path, some_rabbitmq, some_redis) as fleet:
        told = {name: fleet.app.signature(FOLLOWED, args=(name,), immutable=True) for name in ("linked", "failed")}
        lost = fleet.send(EARLY, 60.0, link=told["linked"], link_error=told["failed"])
        with killed_at_work(fleet, "one"):
            pass
        with fleet.worker("two"), fleet.worker("three"):
            with pytest.raises(WorkerLostError):
                lost.get(timeout=DEADLINE_S)
            eventually(lambda: fleet.followed() == {"failed": 1})
            eventually(fleet.empty)

        assert len(fleet.read().runs[lost.id]) == 1


def test_late_work_of_a_killed_worker_runs_again_and_its_crash_is_counted(
    tmp_path: Path, some_rabbitmq: Vhost, some_redis: OwnRedis
) -> None:
    with RabbitFleet(tmp_path, some_rabbitmq, some_redis, task_max_crashes=2) as fleet:
        id = fleet.linked(LATE, 3.0)
        with killed_at_work(fleet, "one"):
            pass
        with fleet.worker("two"):
            fleet.wait_for([id])
            eventually(lambda: fleet.followed() == {id: 1})
            eventually(fleet.empty)

        assert len(fleet.read().runs[id]) == 2
        assert fleet.app.AsyncResult(id).get(timeout=DEADLINE_S) is None


def test_late_work_over_which_three_workers_died_is_a_dead_letter(
    tmp_path: Path, some_rabbitmq: Vhost, some_redis: OwnRedis
) -> None:
    with RabbitFleet(tmp_path, some_rabbitmq, some_redis) as fleet:
        deadly = fleet.send(LATE, 60.0)
        for name in ("one", "two", "three"):
            with killed_at_work(fleet, name):
                pass
        with fleet.worker("four"):
            with pytest.raises(WorkerLostError):
                deadly.get(timeout=DEADLINE_S)
            eventually(lambda: fleet.left() == {"celery_rs.dead": 1})
        (letter,) = fleet.app.transport.dead.page().letters

        assert (letter.task_id, letter.queue, letter.reason, letter.crashes) == (deadly.id, "celery", "crashes", 3)
        assert len(fleet.read().runs[deadly.id]) == 3
