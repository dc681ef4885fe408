"""A Redis restarts, crashes, hangs or is full while workers and callers need it: nothing is lost, and nobody hangs."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from celery_rs.errors import OperationalError
from celery_rs.transports.redis.leases import LEASE_S
from tests.deadlines import SOON_S, eventually
from tests.recovery.redis_fleet import EARLY, LATE, Fleet
from tests.redis_server import OwnRedis

TASKS = 3_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[OwnRedis]:
    """A second Redis, for results alone."""
    directory = tmp_path / "store"
    directory.mkdir()
    redis = OwnRedis(directory)
    redis.start()
    yield redis
    redis.close()


@pytest.mark.parametrize("end", [OwnRedis.stop, OwnRedis.kill])
def test_nothing_is_lost_when_redis_starts_anew_in_the_middle(
    tmp_path: Path, own_redis: OwnRedis, end: Callable[[OwnRedis], None]
) -> None:
    with Fleet(tmp_path, own_redis) as fleet:
        ids = fleet.send_many(LATE, TASKS // 2) + fleet.send_many(EARLY, TASKS // 2)
        with fleet.worker("one", "-c", "2"), fleet.worker("two", "-c", "2"):
            eventually(lambda: len(fleet.started()) > TASKS // 4)
            end(own_redis)
            eventually(lambda: all("trying again" in fleet.log(name).lower() for name in ("one", "two")))
            own_redis.start()
            back, before = time.monotonic(), fleet.started()
            eventually(lambda: len(fleet.started() - before) > 20)
            resumed = time.monotonic() - back
            fleet.wait_for(ids)
            eventually(fleet.empty)
            records = fleet.app.backend.fetch(ids)

    assert resumed < SOON_S
    assert set(records) == set(ids)
    assert {record.state for record in records.values()} == {"SUCCESS"}
    assert fleet.read().repeated() == set()


def test_a_long_outage_ends_no_later_for_workers_than_for_redis(tmp_path: Path, own_redis: OwnRedis) -> None:
    with Fleet(tmp_path, own_redis) as fleet, fleet.worker("one", "-c", "2"):
        fleet.wait_for(fleet.send_many(LATE, 10))
        own_redis.stop()
        stopped = time.monotonic()
        eventually(lambda: time.monotonic() - stopped > 12.0)
        own_redis.start()
        ids = fleet.send_many(LATE, 10)
        fleet.wait_for(ids, SOON_S)


@contextmanager
def gone(redis: OwnRedis) -> Iterator[None]:
    redis.stop()
    yield
    redis.start()


@contextmanager
def hanging(redis: OwnRedis) -> Iterator[None]:
    redis.pause()
    yield
    redis.resume()


@pytest.mark.parametrize("fault", [gone, hanging])
@pytest.mark.parametrize("known", [True, False], ids=["used before", "first call"])
def test_delay_gives_up_after_five_seconds(
    tmp_path: Path, own_redis: OwnRedis, fault: Callable[[OwnRedis], AbstractContextManager[None]], known: bool
) -> None:
    with Fleet(tmp_path, own_redis) as fleet:
        if known:
            fleet.send(LATE, 0.0)
        with fault(own_redis):
            began = time.monotonic()
            with pytest.raises(OperationalError) as raised:
                fleet.send(LATE, 0.0)
            took = time.monotonic() - began

        fleet.send(LATE, 0.0)
        assert int(own_redis.call("LLEN", "celery")) >= 1 + known

    assert took < SOON_S
    assert str(raised.value).startswith(f"broker {own_redis.url} cannot be reached: ")
    assert "\n" not in str(raised.value)


def test_a_call_in_a_short_outage_is_made_again(tmp_path: Path, own_redis: OwnRedis) -> None:
    with Fleet(tmp_path, own_redis) as fleet:
        fleet.send(LATE, 0.0)
        own_redis.restart()

        fleet.send(LATE, 0.0)

        assert fleet.queue().ready == 2


def test_a_result_store_that_hangs_for_two_leases_doubles_and_loses_nothing(
    tmp_path: Path, own_redis: OwnRedis, store: OwnRedis
) -> None:
    with (
        Fleet(tmp_path, own_redis, backend=store.url) as fleet,
        fleet.worker("one", "-c", "2"),
        fleet.worker("two", "-c", "2"),
    ):
        ids = [fleet.linked(task, 0.02) for task in (LATE, EARLY) * 100]
        eventually(lambda: len(fleet.started()) > 40)
        store.pause()
        paused = time.monotonic()
        eventually(lambda: time.monotonic() - paused > 2 * LEASE_S + 1.0)
        assert not fleet.empty()  # nothing is settled without its result
        store.resume()
        fleet.wait_for(ids)
        eventually(lambda: len(fleet.followed()) == len(ids))
        eventually(fleet.empty)
        records = fleet.app.backend.fetch(ids)

    assert set(records) == set(ids)
    assert {record.state for record in records.values()} == {"SUCCESS"}
    assert set(fleet.followed().values()) == {1}
    assert fleet.read().repeated() == set()


def test_a_full_redis_refuses_calls_and_lets_workers_go_on(tmp_path: Path, own_redis: OwnRedis) -> None:
    with Fleet(tmp_path, own_redis) as fleet:
        ids = fleet.send_many(LATE, 150, 0.01) + fleet.send_many(EARLY, 150, 0.01)
        later = fleet.send(LATE, 0.0, countdown=3.0).id
        used = int(own_redis.call("INFO", "memory").split(b"used_memory:")[1].split()[0])
        with fleet.worker("one", "-c", "2"), fleet.worker("two", "-c", "2"):
            eventually(lambda: len(fleet.started()) > 20)
            own_redis.call("CONFIG", "SET", "maxmemory", used // 2)
            with pytest.raises(OperationalError) as raised:
                fleet.send(LATE, 0.0)
            fleet.wait_for([*ids, later])
            eventually(fleet.empty)
            refused = own_redis.call("INFO", "commandstats")
            full = time.monotonic()
            eventually(lambda: time.monotonic() - full > 2.0)
            asked = own_redis.call("INFO", "commandstats")
            with pytest.raises(OperationalError):
                fleet.send(LATE, 0.0)
            own_redis.call("CONFIG", "SET", "maxmemory", 0)
            more = fleet.send_many(EARLY, 20)
            fleet.wait_for(more, SOON_S)
            eventually(fleet.empty)
            records = fleet.app.backend.fetch([*ids, later, *more])

    said = str(raised.value)
    assert said.startswith(f"broker {own_redis.url} refused: OOM ")
    assert "free some or raise maxmemory" in said
    assert "\n" not in said
    assert set(records) == {*ids, later, *more}
    assert {record.state for record in records.values()} == {"SUCCESS"}
    assert fleet.read().repeated() == set()
    # Idle workers do not ask again and again what is refused at once.
    assert calls(asked, b"blmove") - calls(refused, b"blmove") < 10


def calls(stats: bytes, command: bytes) -> int:
    _, found, rest = stats.partition(b"cmdstat_" + command + b":calls=")
    return int(rest.split(b",")[0]) + int(rest.split(b"rejected_calls=")[1].split(b",")[0]) if found else 0
