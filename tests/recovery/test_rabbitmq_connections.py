"""Between programs and their RabbitMQ connections are cut or hang; nothing is lost, and the work goes on."""

from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from tests.deadlines import eventually
from tests.proxy import proxy_before
from tests.rabbitmq_vhosts import Vhost
from tests.recovery.rabbitmq_fleet import RabbitFleet, ids_in
from tests.recovery.redis_fleet import EARLY, LATE
from tests.redis_server import OwnRedis

HEARTBEAT_S = 2
"""Either side gives a connection up after two of them."""


def test_a_worker_whose_connections_hang_makes_new_ones(
    tmp_path: Path, some_rabbitmq: Vhost, some_redis: OwnRedis
) -> None:
    with (
        RabbitFleet(tmp_path, some_rabbitmq, some_redis, broker_heartbeat=HEARTBEAT_S) as fleet,
        proxy_before(some_rabbitmq.url) as proxy,
        fleet.worker("one", "-c", "2", broker=proxy.url),
    ):
        fleet.wait_for(fleet.send_many(EARLY, 20))
        proxy.stall()
        ids = fleet.send_many(LATE, 50, 0.01) + fleet.send_many(EARLY, 50, 0.01)
        fleet.wait_for(ids)
        eventually(fleet.empty)
        records = fleet.app.backend.fetch(ids)

    assert {record.state for record in records.values()} == {"SUCCESS"}
    assert len(records) == 100
    assert "gave no sign of life" in fleet.log("one")


def test_work_that_runs_while_its_connection_hangs_is_not_run_twice(
    tmp_path: Path, some_rabbitmq: Vhost, some_redis: OwnRedis
) -> None:
    options = {"begun_ttl_s": 0.5, "reconnect_grace_s": 10.0}
    settings = {"broker_heartbeat": HEARTBEAT_S, "broker_transport_options": options}
    with (
        RabbitFleet(tmp_path, some_rabbitmq, some_redis, **settings) as fleet,
        proxy_before(some_rabbitmq.url) as proxy,
        fleet.worker("one", "-c", "4", broker=proxy.url),
        ExitStack() as stack,
    ):
        ids = [fleet.linked(task, pause) for task in (LATE, EARLY) for pause in (4.5, 12.0)]
        eventually(lambda: fleet.begun() == 4)
        proxy.stall()
        stack.enter_context(fleet.worker("two", "-c", "2"))
        fleet.wait_for(ids)
        eventually(lambda: set(fleet.followed()) == set(ids))
        eventually(fleet.empty)
        records = fleet.app.backend.fetch(ids)

    assert {record.state for record in records.values()} == {"SUCCESS"}
    assert fleet.read().repeated() == set()
    assert set(fleet.followed().values()) == {1}


def test_a_worker_whose_connections_are_cut_goes_on_at_once(
    tmp_path: Path, some_rabbitmq: Vhost, some_redis: OwnRedis
) -> None:
    with (
        RabbitFleet(tmp_path, some_rabbitmq, some_redis) as fleet,
        proxy_before(some_rabbitmq.url) as proxy,
        fleet.worker("one", "-c", "2", broker=proxy.url),
    ):
        for _ in range(5):
            proxy.cut()
            fleet.wait_for(fleet.send_many(LATE, 20, 0.01))
        eventually(fleet.empty)


def test_what_a_client_wrote_into_a_connection_that_hangs_is_sent_again(
    tmp_path: Path, some_rabbitmq: Vhost, some_redis: OwnRedis
) -> None:
    with proxy_before(some_rabbitmq.url) as proxy:
        some_rabbitmq.url, direct = proxy.url, some_rabbitmq.url
        with RabbitFleet(tmp_path, some_rabbitmq, some_redis) as fleet:
            before = fleet.send_many(LATE, 10)
            assert fleet.app.transport.flush(5.0) == 0
            proxy.stall()
            written = fleet.send_many(LATE, 10)

            assert fleet.app.transport.flush(15.0) == 0

    assert Counter(ids_in(direct)) == Counter([*before, *written])


def test_what_was_written_and_whose_confirm_was_lost_is_sent_again_under_its_id(
    tmp_path: Path, some_rabbitmq: Vhost, some_redis: OwnRedis
) -> None:
    with proxy_before(some_rabbitmq.url) as proxy:
        some_rabbitmq.url, direct = proxy.url, some_rabbitmq.url
        with RabbitFleet(tmp_path, some_rabbitmq, some_redis) as fleet:
            fleet.send_many(LATE, 1)
            assert fleet.app.transport.flush(5.0) == 0
            proxy.swallow(b"lost-confirm", every=2)
            written = [fleet.send(LATE, 0.0, task_id=f"lost-confirm-{n}").id for n in range(20)]

            assert fleet.app.transport.flush(15.0) == 0

    assert proxy.swallowed > 0
    assert set(written) < set(ids_in(direct))
