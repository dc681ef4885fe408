"""A Redis for all interop tests of a process, a database for each test, and the two sides."""

import shutil
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tests import rabbitmq_vhosts
from tests.interop.celery_side import CELERY, CeleryProject, OurProject
from tests.redis_server import DATABASES, redis_server

_numbers = count()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    missing = [
        name
        for name, there in (("redis-server", shutil.which("redis-server")), (str(CELERY), CELERY.exists()))
        if not there
    ]
    if missing:
        skip = pytest.mark.skip(reason=f"{' and '.join(missing)} not there: run `make test`")
        for item in items:
            if item.path.is_relative_to(here):
                item.add_marker(skip)


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


BROKERS = ("redis", "rabbitmq")


@pytest.fixture(params=BROKERS)
def broker(request: pytest.FixtureRequest) -> Iterator[str]:
    """A database, or a virtual host, that no other test uses."""
    if request.param == "redis":
        yield f"{request.getfixturevalue('redis')}/{next(_numbers) % DATABASES}"
        return
    if not rabbitmq_vhosts.available():
        pytest.skip("no RabbitMQ that may be told to make virtual hosts: run `make test`")
    name = rabbitmq_vhosts.fresh()
    yield rabbitmq_vhosts.url_of(name)
    rabbitmq_vhosts.done_with(name)


@pytest.fixture
def store(redis: str, broker: str) -> str:
    """Where results go: beside the messages where that can be."""
    return broker if broker.startswith("redis") else f"{redis}/{next(_numbers) % DATABASES}"


@pytest.fixture
def theirs(tmp_path: Path, broker: str) -> Iterator[CeleryProject]:
    """A project of real Celery's."""
    with CeleryProject(tmp_path / "theirs", broker) as project:
        yield project


@pytest.fixture
def ours(tmp_path: Path, broker: str) -> Iterator[OurProject]:
    """The same project with celery-rs."""
    with OurProject(tmp_path / "ours", broker) as project:
        yield project
