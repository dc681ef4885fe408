"""Workers that start on a Redis that is down, hangs, refuses them, or is set up so that messages may be lost."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deadlines import DEADLINE_S, eventually
from tests.recovery.redis_fleet import LATE, Fleet
from tests.redis_server import OwnRedis


@pytest.fixture
def careless(tmp_path: Path) -> Iterator[OwnRedis]:
    """A Redis that keeps nothing on disk, and throws away what it likes when it is full."""
    directory = tmp_path / "careless"
    directory.mkdir()
    redis = OwnRedis(directory, "--appendonly", "no", "--maxmemory-policy", "allkeys-lru")
    redis.start()
    yield redis
    redis.close()


def test_a_worker_waits_for_its_redis_and_then_works(tmp_path: Path, own_redis: OwnRedis) -> None:
    own_redis.stop()
    with Fleet(tmp_path, own_redis) as fleet, fleet.worker("one", "-c", "1", ready=False):
        eventually(lambda: "Connection refused. Trying again in 2.00 seconds... (1/100)" in fleet.log("one"))
        own_redis.start()
        fleet.wait_for(fleet.send_many(LATE, 10))

        assert f"Cannot connect to {own_redis.url}: Connection refused" in fleet.log("one")


def test_a_redis_that_hangs_at_the_start_costs_no_process(tmp_path: Path, own_redis: OwnRedis) -> None:
    own_redis.pause()
    with Fleet(tmp_path, own_redis) as fleet, fleet.worker("one", "-c", "1", ready=False):
        eventually(lambda: "no answer in time. Trying again in" in fleet.log("one"))
        own_redis.resume()
        fleet.wait_for(fleet.send_many(LATE, 10))

        assert "pool process" not in fleet.log("one")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("redis://:wrong@127.0.0.1:{port}/0", "password"),
        ("redis://127.0.0.1:{port}/77", "it has no such database; check the number at the end of the URL"),
        (
            "rediss://127.0.0.1:{port}/0?ssl_cert_reqs=none&socket_timeout=0.3",
            "speak TLS on this port?",
        ),
    ],
)
def test_a_worker_that_is_refused_says_why_in_a_line_and_can_be_stopped(
    tmp_path: Path, own_redis: OwnRedis, wrong: str, said: str
) -> None:
    url = wrong.format(port=own_redis.port)
    with Fleet(tmp_path, own_redis) as fleet, fleet.worker("one", "-c", "1", broker=url, ready=False) as worker:
        eventually(lambda: "Trying again in" in fleet.log("one"))
        worker.send_signal(signal.SIGTERM)

        assert worker.wait(DEADLINE_S) == 0
        (line,) = [line for line in fleet.log("one").splitlines() if "(1/100)" in line]
        assert said in line
        assert "wrong@" not in fleet.log("one")
        assert "Traceback" not in fleet.log("one")


def test_what_would_cost_messages_is_told_once_each(tmp_path: Path, careless: OwnRedis) -> None:
    with Fleet(tmp_path, careless) as fleet, fleet.worker("one", "-c", "1"):
        fleet.wait_for(fleet.send_many(LATE, 3))
        careless.restart()
        fleet.wait_for(fleet.send_many(LATE, 3))

        assert fleet.log("one").count("(maxmemory-policy allkeys-lru), messages among them; set it to noeviction") == 1
        assert fleet.log("one").count("keeps nothing on disk, so its restart loses every message") == 1


def test_a_redis_that_is_set_up_well_is_told_nothing(tmp_path: Path, own_redis: OwnRedis) -> None:
    with Fleet(tmp_path, own_redis) as fleet, fleet.worker("one", "-c", "1"):
        fleet.wait_for(fleet.send_many(LATE, 3))

        assert "maxmemory" not in fleet.log("one")
        assert "on disk" not in fleet.log("one")
