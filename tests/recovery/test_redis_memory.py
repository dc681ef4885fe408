"""What waits for its time lies in Redis, and costs a worker no memory."""

from pathlib import Path

from celery_rs import Celery
from tests.chaos import processes
from tests.deadlines import eventually
from tests.recovery.redis_fleet import LATE, Fleet
from tests.redis_server import OwnRedis

WAITING = 40_000
BATCH = 1_000
A_DAY_S = 86_400


def test_what_waits_for_its_time_costs_an_idle_worker_no_memory(tmp_path: Path, own_redis: OwnRedis) -> None:
    own_redis.call("CONFIG", "SET", "appendfsync", "no")
    with Fleet(tmp_path, own_redis) as fleet, fleet.worker("one", "-c", "1", "-l", "warning", ready=False) as worker:
        fleet.wait_for(fleet.send_many(LATE, 500))
        before = memory(worker.pid)
        publish(fleet.app, WAITING)
        eventually(lambda: own_redis.call("ZCARD", "celery-rs.delayed") == WAITING)
        fleet.wait_for(fleet.send_many(LATE, 1))
        after = memory(worker.pid)

    assert after - before < 2 * 1024
    assert own_redis.call("ZCARD", "celery-rs.delayed") == WAITING


def publish(app: Celery, count: int) -> None:
    """So many calls for a day from now, in batches."""
    for _ in range(0, count, BATCH):
        calls = [app.publisher.compose(LATE, (0.0,), {}, {"countdown": A_DAY_S}) for _ in range(BATCH)]
        app.transport.publish(calls)


def memory(worker: int) -> int:
    """KiB that a worker's processes have for themselves, and their shares of what they have together."""
    family = processes.children()
    pids = [worker]
    for pid in pids:
        pids += family.get(pid, [])
    return sum(proportional(pid) for pid in pids)


def proportional(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("Pss:")).split()[1])
