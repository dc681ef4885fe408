"""Results that real workers send to who called, `rpc://`, over each broker that is there."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from celery_rs import errors
from celery_rs.errors import NotRegistered, TimeLimitExceeded, WorkerLostError
from celery_rs.results import ResultSet
from tests import rabbitmq_vhosts
from tests.deadlines import DEADLINE_S, eventually
from tests.rabbitmq_server import OwnRabbitMQ, own_rabbitmq
from tests.redis_server import OwnRedis, own_redis
from tests.worker.process import Project, project_in

__all__ = ["own_rabbitmq", "own_redis"]  # fixtures

RPC = {"result_backend": "rpc://"}


@pytest.fixture(params=["sqlite", "redis", "rabbitmq"])
def project(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    broker: str | None = None if request.param == "sqlite" else request.getfixturevalue(f"{request.param}_url")
    with project_in(tmp_path, monkeypatch, broker) as project:
        project.app.conf.update(RPC)
        yield project


@pytest.fixture
def redis_url(own_redis: OwnRedis) -> str:
    return own_redis.url


@pytest.fixture
def rabbitmq_url() -> Iterator[str]:
    if not rabbitmq_vhosts.available():
        pytest.skip("no RabbitMQ listens that obeys us: run `make test`")
    place = rabbitmq_vhosts.fresh()
    yield rabbitmq_vhosts.url_of(place)
    rabbitmq_vhosts.done_with(place)


def test_every_end_reaches_who_called(project: Project) -> None:
    proj = project.proj
    with project.worker("-c", "1", settings=RPC):
        assert proj.add.delay(1, 2).get(timeout=DEADLINE_S) == 3
        assert proj.retried.delay(2).get(timeout=DEADLINE_S) == 2
        with pytest.raises(ValueError, match="boom"):
            proj.fails.delay().get(timeout=DEADLINE_S)
        with pytest.raises(errors.Reject, match="not today"):
            proj.rejected.delay().get(timeout=DEADLINE_S)
        with pytest.raises(NotRegistered):
            project.app.send_task("proj.nowhere").get(timeout=DEADLINE_S)
        limited = proj.hold.apply_async(("limited",), time_limit=1.5)
        expired = proj.add.apply_async((1, 1), expires=1.0)  # in the worker's hands: what expires in a RabbitMQ is gone
        with pytest.raises(TimeLimitExceeded):
            limited.get(timeout=DEADLINE_S)
        with pytest.raises(errors.TaskRevokedError, match="expired"):
            expired.get(timeout=DEADLINE_S)


def test_states_on_the_way_are_told(project: Project) -> None:
    with project.worker("-c", "2", settings=RPC):
        tracked, progressing = project.proj.tracked.delay("tracked"), project.proj.progressing.delay("progressing")

        eventually(lambda: tracked.state == "STARTED")
        eventually(lambda: progressing.state == "PROGRESS")
        assert progressing.info == {"done": 50}

        project.let_go("tracked")
        project.let_go("progressing")
        assert [tracked.get(timeout=DEADLINE_S), progressing.get(timeout=DEADLINE_S)] == ["tracked", "progressing"]


def test_a_task_whose_process_dies_is_told_of(project: Project) -> None:
    with project.worker("-c", "1", settings=RPC):
        lost = project.proj.hold.delay("lost")
        project.saw("lost.started")
        os.kill(int(project.lines("lost.started")[0].split()[0]), signal.SIGKILL)

        with pytest.raises(WorkerLostError):
            lost.get(timeout=DEADLINE_S)


def test_a_thousand_results_are_collected(project: Project) -> None:
    with project.worker("-c", "2", settings=RPC):
        results = ResultSet([project.proj.add.delay(number, 1) for number in range(1000)])

        assert results.join(timeout=DEADLINE_S) == list(range(1, 1001))


def test_results_come_to_many_threads_each_its_own(project: Project) -> None:
    answered: list[list[int]] = []

    def ask(place: int) -> None:
        sent = [project.proj.add.delay(place, number) for number in range(20)]
        answered.append([result.get(timeout=DEADLINE_S) - place for result in sent])

    with project.worker("-c", "2", settings=RPC):
        threads = [threading.Thread(target=ask, args=(place,)) for place in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE_S)

    assert answered == [list(range(20))] * 8


def test_a_set_of_results_is_told_as_they_come(project: Project) -> None:
    with project.worker("-c", "2", settings=RPC):
        first, second = project.proj.hold.delay("first"), project.proj.hold.delay("second")
        told = ResultSet([first, second]).iter_native(timeout=DEADLINE_S)

        project.let_go("second")
        assert next(told)[0] == second.id
        project.let_go("first")
        assert next(told)[0] == first.id


@pytest.fixture
def own_broker(request: pytest.FixtureRequest) -> OwnRedis | OwnRabbitMQ:
    own: OwnRedis | OwnRabbitMQ = request.getfixturevalue(request.param)
    return own


@pytest.mark.parametrize("own_broker", ["own_redis", "own_rabbitmq"], indirect=True)
def test_a_broker_that_is_started_again_costs_no_result_that_comes_later(
    own_broker: OwnRedis | OwnRabbitMQ, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with project_in(tmp_path, monkeypatch, own_broker.url) as project:
        project.app.conf.update(RPC)
        with project.worker("-c", "1", settings=RPC):
            held = project.proj.hold.delay("held")
            project.saw("held.started")
            waited: list[str] = []
            waiting = threading.Thread(target=lambda: waited.append(held.get(timeout=DEADLINE_S)))
            waiting.start()

            own_broker.restart()
            assert project.proj.add.delay(1, 2)
            project.let_go("held")
            waiting.join(DEADLINE_S)

            assert waited == ["held"]
            assert project.proj.add.delay(1, 2).get(timeout=DEADLINE_S) == 3


def test_parent_and_child_each_ask_for_their_own_calls(project: Project) -> None:
    with project.worker("-c", "1", settings=RPC):
        before = project.proj.hold.delay("before")
        project.saw("before.started")

        child = os.fork()
        if not child:
            mine = project.proj.add.delay(1, 2)
            project.let_go("before")
            os._exit(0 if mine.get(timeout=DEADLINE_S) == 3 and before.state == "PENDING" else 1)

        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert before.get(timeout=DEADLINE_S) == "before"
        assert project.proj.add.delay(3, 4).get(timeout=DEADLINE_S) == 7


def test_a_task_may_wait_for_another_if_it_says_so(project: Project) -> None:
    with project.worker("-c", "2", settings=RPC):
        assert project.proj.asks_another.delay(2, 3).get(timeout=DEADLINE_S) == 5
