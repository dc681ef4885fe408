"""Results over the broker, `rpc://`, through a proxy that cuts the connections of who called, or lets them hang."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import rabbitmq_vhosts
from tests.deadlines import DEADLINE_S
from tests.proxy import Proxy
from tests.redis_server import OwnRedis, own_redis
from tests.worker.process import Project, project_in

__all__ = ["own_redis"]  # a fixture

RPC = {"result_backend": "rpc://"}


@pytest.fixture(params=["redis", "rabbitmq"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "redis":
        own: OwnRedis = request.getfixturevalue("own_redis")
        yield own.url
        return
    if not rabbitmq_vhosts.available():
        pytest.skip("no RabbitMQ listens that obeys us: run `make test`")
    host = rabbitmq_vhosts.fresh()
    yield rabbitmq_vhosts.url_of(host)
    rabbitmq_vhosts.done_with(host)


@pytest.fixture
def project(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """Its workers reach the broker; who calls does through the proxy, which the app's settings name."""
    with project_in(tmp_path, monkeypatch, url) as project:
        project.app.conf.update(RPC)
        yield project


@pytest.fixture
def proxy(url: str, project: Project) -> Iterator[Proxy]:
    proxy = Proxy(url)
    project.app.conf.broker_url = proxy.url
    yield proxy
    project.app.close()
    proxy.close()


def test_calls_after_a_cut_are_answered(project: Project, proxy: Proxy) -> None:
    with project.worker("-c", "1", settings=RPC):
        for number in range(30):
            assert project.proj.add.delay(number, 1).get(timeout=DEADLINE_S) == number + 1
            proxy.cut()


def test_a_wait_goes_on_after_a_cut(project: Project, proxy: Proxy) -> None:
    with project.worker("-c", "1", settings=RPC):
        held = project.proj.hold.delay("held")
        project.saw("held.started")

        proxy.cut()
        assert project.proj.add.delay(0, 0)  # it is sent once the queue of results is there again
        project.let_go("held")

        assert held.get(timeout=DEADLINE_S) == "held"
