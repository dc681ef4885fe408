"""Between a worker and its Redis replies get lost, and connections are cut or hang; the work goes on."""

import time
from pathlib import Path

from celery_rs.transports.redis import Script
from tests.deadlines import SOON_S, eventually
from tests.proxy import proxy_before
from tests.recovery.redis_fleet import EARLY, LATE, Fleet
from tests.redis_server import OwnRedis

BEHIND_MOST = 40


def test_no_task_waits_long_though_every_fiftieth_reply_to_a_reserve_is_lost(
    tmp_path: Path, own_redis: OwnRedis
) -> None:
    sent: dict[str, float] = {}
    with Fleet(tmp_path, own_redis) as fleet, proxy_before(own_redis.url) as proxy:
        proxy.swallow(Script.RESERVE.sha, 50)
        with fleet.worker("one", "-c", "2", "--prefetch-multiplier", "1", broker=proxy.url):
            while proxy.swallowed < 12:
                assert len(sent) < 5_000
                for task in (LATE, EARLY) * 5:
                    now = time.monotonic()
                    sent[fleet.send(task, 0.0).id] = now
                # What waits here has been lost, not queued behind others.
                eventually(lambda: len(sent) - len(fleet.started()) < BEHIND_MOST)
            fleet.wait_for(sent)
            eventually(fleet.empty)

    runs = fleet.read().runs
    assert max(runs[id][0].started - at for id, at in sent.items()) < SOON_S
    assert {id: len(runs[id]) for id in sent if len(runs[id]) != 1} == {}


def test_every_reply_of_any_kind_may_be_lost(tmp_path: Path, own_redis: OwnRedis) -> None:
    with (
        Fleet(tmp_path, own_redis) as fleet,
        proxy_before(own_redis.url) as proxy,
        fleet.worker("one", "-c", "2", broker=proxy.url),
    ):
        proxy.swallow(b"EVALSHA", 7)
        ids = [fleet.linked(task, 0.01) for task in (LATE, EARLY) * 40]
        fleet.wait_for(ids)
        eventually(lambda: len(fleet.followed()) == len(ids))
        eventually(fleet.empty)
        records = fleet.app.backend.fetch(ids)

    assert proxy.swallowed > 5
    assert {record.state for record in records.values()} == {"SUCCESS"}
    assert set(records) == set(ids)
    assert set(fleet.followed().values()) == {1}
    assert fleet.read().repeated() == set()


def test_a_worker_whose_connections_hang_makes_new_ones(tmp_path: Path, own_redis: OwnRedis) -> None:
    with (
        Fleet(tmp_path, own_redis) as fleet,
        proxy_before(own_redis.url) as proxy,
        fleet.worker("one", "-c", "2", broker=proxy.url),
        fleet.worker("idle", "-c", "1", "-Q", "other"),
    ):
        fleet.wait_for(fleet.send_many(EARLY, 20))
        proxy.stall()
        stalled = time.monotonic()
        ids = fleet.send_many(LATE, 50) + fleet.send_many(EARLY, 50)
        fleet.wait_for(ids)
        eventually(fleet.empty)
        # By now it would have been taken for dead, had its lease not been prolonged over a new connection.
        eventually(lambda: time.monotonic() - stalled > 18.0)
        again = fleet.send_many(EARLY, 20)
        fleet.wait_for(again)
        eventually(fleet.empty)
        records = fleet.app.backend.fetch([*ids, *again])

    assert {record.state for record in records.values()} == {"SUCCESS"}
    assert len(records) == 120
    assert fleet.read().repeated() == set()
    assert "no answer in time" in fleet.log("one")
    assert "of dead workers" not in fleet.log("idle")


def test_a_worker_whose_connections_are_cut_goes_on_at_once(tmp_path: Path, own_redis: OwnRedis) -> None:
    with (
        Fleet(tmp_path, own_redis) as fleet,
        proxy_before(own_redis.url) as proxy,
        fleet.worker("one", "-c", "2", broker=proxy.url),
    ):
        for _ in range(5):
            proxy.cut()
            fleet.wait_for(fleet.send_many(LATE, 20, 0.01))
        eventually(fleet.empty)

    assert fleet.read().repeated() == set()
