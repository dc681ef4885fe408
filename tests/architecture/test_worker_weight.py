"""What a worker holds in memory: the parent and each child, on each broker, by the modules that an idle one has loaded.

Every module of the parent is in every child as well, and a library that opens a connection can weigh as much as all the
rest. What is asserted is what gets loaded, not how much that is.
"""

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import rabbitmq_vhosts
from tests.deadlines import DEADLINE_S, eventually
from tests.redis_server import OwnRedis, own_redis

__all__ = ["own_redis"]  # a fixture

NEVER = {
    "celery", "django", "email", "gevent", "http", "hypothesis", "importlib.metadata", "kombu", "logging.config",
    "pydantic", "pymongo", "pytest", "redis", "sqlalchemy", "unittest", "xml", "yaml",
}  # fmt: skip
ELSEWHERE = {
    "sqlite": {"asyncio", "concurrent", "hiredis", "pika", "ssl"},
    "redis": {"asyncio", "concurrent", "pika", "sqlite3"},
    # pika itself loads asyncio.
    "amqp": {"hiredis", "sqlite3"},
}
APP = """
import gc, os, sys
from celery_rs import Celery
from celery_rs.signals import worker_ready

app = Celery("proj", broker=os.environ["BROKER"])


def tell(who):
    with open(f"{who}.part", "w") as file:
        file.write("\\n".join([str(gc.get_freeze_count()), *sys.modules]))
    os.rename(f"{who}.part", who)


@worker_ready.connect
def ready(**_):
    tell("parent")


@app.task
def look():
    tell("child")
"""


@pytest.fixture(params=["sqlite", "redis", "amqp"])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Its kind and its URL."""
    kind = request.param
    if kind == "redis":
        redis: OwnRedis = request.getfixturevalue("own_redis")
        yield kind, redis.url
    elif kind == "amqp":
        if not rabbitmq_vhosts.available():
            pytest.skip("no RabbitMQ that can be told to make virtual hosts")
        name = rabbitmq_vhosts.fresh()
        yield kind, rabbitmq_vhosts.url_of(name)
        rabbitmq_vhosts.done_with(name)
    else:
        yield kind, f"sqlite:///{tmp_path / 'tasks.sqlite3'}"


def test_an_idle_worker_has_loaded_nothing_that_it_does_not_need(broker: tuple[str, str], tmp_path: Path) -> None:
    kind, url = broker
    (tmp_path / "proj.py").write_text(textwrap.dedent(APP))
    environment = os.environ | {"BROKER": url, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    send = [sys.executable, "-c", "import proj; proj.look.delay()"]
    work = [sys.executable, "-m", "celery_rs", "-A", "proj", "worker", "-c", "1"]

    subprocess.run(send, cwd=tmp_path, env=environment, check=True, timeout=DEADLINE_S)
    with (tmp_path / "log").open("w") as log:
        worker = subprocess.Popen(work, cwd=tmp_path, env=environment, stdout=log, stderr=log)
    try:
        eventually((tmp_path / "parent").exists, (tmp_path / "log").read_text)
        eventually((tmp_path / "child").exists, (tmp_path / "log").read_text)
    finally:
        worker.terminate()
        worker.wait(DEADLINE_S)

    for who in ("parent", "child"):
        frozen, *loaded = (tmp_path / who).read_text().split()
        assert unneeded(kind, loaded) == set(), f"in the {who}"
        assert int(frozen) > len(loaded), f"the collector would make a copy of what the {who} shares"


def unneeded(kind: str, loaded: list[str]) -> set[str]:
    """The forbidden names that are, or hold, one of the loaded modules."""
    above = {".".join(name.split(".")[:depth]) for name in loaded for depth in range(1, name.count(".") + 2)}
    return above & (NEVER | ELSEWHERE[kind])
