"""Bindings and broadcasts beside a real Celery, on one Redis: each fleet finds what the other has bound."""

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from celery_rs import Broadcast, Celery, Exchange, Queue, binding
from tests.conformance.worlds import REDIS_URL, WORLDS
from tests.deadlines import DEADLINE_S, eventually

CELERY = Path(__file__).parents[2] / ".venv-celery" / "bin" / "python"
SEP = b"\x06\x16"

pytestmark = [
    pytest.mark.skipif("redis" not in WORLDS, reason=f"there is no Redis at {REDIS_URL}"),
    pytest.mark.skipif(not CELERY.exists(), reason="there is no real Celery in .venv-celery: run `make test`"),
]

# The same project for both: only the imports differ.
PROJECT = """
import os
{imports}
app = Celery("both", broker=os.environ["BROKER"], set_as_current=True)
app.conf.broker_transport_options = {{"global_keyprefix": os.environ["PREFIX"]}}
app.conf.task_queues = [
    Queue("celery"),
    Queue("keyed", Exchange("direct"), routing_key="key"),
    Queue("unkeyed", Exchange("direct")),
    Queue("logs", Exchange("topic", type="topic"), routing_key="logs.*.#"),
    Queue("many", bindings=[binding(Exchange("one"), "x"), binding(Exchange("two", type="topic"), "y.*")]),
    Queue("fan", Exchange("fan", type="fanout"), routing_key="any"),
    Queue("short", Exchange("short"), routing_key="s", expires=60),
    Broadcast("everyone"),
]

@app.task(name="both.hear", ignore_result=True)
def hear(word):
    with open(os.environ["HEARD"], "a") as file:
        file.write("{who} " + word + "\\n")
"""
REAL = "from celery import Celery\nfrom kombu import Exchange, Queue, binding\nfrom kombu.common import Broadcast"
OURS = "from celery_rs import Broadcast, Celery, Exchange, Queue, binding"


@pytest.fixture
def prefix() -> Iterator[str]:
    name = f"topology-{secrets.token_hex(4)}:"
    yield name
    with redis.Redis.from_url(REDIS_URL) as server:
        for key in server.scan_iter(f"{name}*"):
            server.delete(key)


@pytest.fixture
def folder(tmp_path: Path, prefix: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "real.py").write_text(PROJECT.format(imports=REAL, who="real"))
    (tmp_path / "ours.py").write_text(PROJECT.format(imports=OURS, who="ours"))
    (tmp_path / "heard").touch()
    for name, value in {"BROKER": REDIS_URL, "PREFIX": prefix, "HEARD": str(tmp_path / "heard")}.items():
        monkeypatch.setenv(name, value)
    return tmp_path


def bound(prefix: str) -> dict[str, Any]:
    """The binding sets without the prefix; a broadcast's queue is called like any other's."""
    found: dict[str, Any] = {}
    with redis.Redis.from_url(REDIS_URL) as server:
        for raw in server.scan_iter(f"{prefix}_kombu.binding*"):
            key = raw.decode().removeprefix(prefix)
            members = server.zrange(raw, 0, -1) if key.endswith("_deadlines") else server.smembers(raw)
            found[key] = sorted(SEP.join(m.split(SEP)[:-1]) if b"bcast." in m else m for m in members)
    return found


def in_celery(folder: Path, script: str) -> None:
    subprocess.run([CELERY, "-c", f"from real import app, hear\n{script}"], cwd=folder, check=True, timeout=DEADLINE_S)


def our_app() -> Celery:
    app = Celery("ours", broker=REDIS_URL, set_as_current=False)
    app.conf.broker_transport_options = {"global_keyprefix": os.environ["PREFIX"]}
    app.conf.task_queues = [
        Queue("celery"),
        Queue("keyed", Exchange("direct"), routing_key="key"),
        Queue("unkeyed", Exchange("direct")),
        Queue("logs", Exchange("topic", type="topic"), routing_key="logs.*.#"),
        Queue("many", bindings=[binding(Exchange("one"), "x"), binding(Exchange("two", type="topic"), "y.*")]),
        Queue("fan", Exchange("fan", type="fanout"), routing_key="any"),
        Queue("short", Exchange("short"), routing_key="s", expires=60),
        Broadcast("everyone"),
    ]
    return app


@contextmanager
def worker(folder: Path, who: str, program: list[str]) -> Iterator[None]:
    command = [*program, "-A", who, "worker", "-P", "solo", "-n", f"{who}@here", "-l", "info"]
    log = folder / f"{who}.log"
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=output)
    try:
        eventually(lambda: " ready." in log.read_text() or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(DEADLINE_S)


def test_every_queue_is_bound_as_celery_binds_it(folder: Path, prefix: str) -> None:
    in_celery(
        folder,
        "with app.connection_for_write() as connection:\n"
        "    [queue(connection.default_channel).declare() for queue in app.amqp.queues.consume_from.values()]",
    )
    theirs = bound(prefix)
    with redis.Redis.from_url(REDIS_URL) as server:
        server.delete(*server.scan_iter(f"{prefix}*"))

    with our_app() as app:
        app.transport.declare(app.queues())
        consumer = app.transport.consume([queue.name for queue in app.queues()])
        ours = bound(prefix)
        consumer.close()

    # What becomes of a Broadcast that Kombu declares by itself is no example: see the next test for a worker's.
    del ours["_kombu.binding.everyone"], ours["_kombu.binding_permanent.everyone"]
    assert ours == theirs


def test_workers_of_both_hear_what_either_says_to_everyone(folder: Path, prefix: str) -> None:
    heard = folder / "heard"
    with (
        worker(folder, "real", [str(CELERY), "-m", "celery"]),
        worker(folder, "ours", [sys.executable, "-m", "celery_rs"]),
    ):
        assert bound(prefix)["_kombu.binding.everyone"] == [b"celery" + SEP] * 2
        with our_app() as app:
            app.send_task("both.hear", ["from-ours"], queue="everyone", ignore_result=True)
        in_celery(
            folder,
            "with app.connection_for_write() as connection:\n"
            # Celery's client knows an exchange's type only once it has declared it.
            "    app.amqp.queues.aliases['everyone'](connection.default_channel).exchange.declare()\n"
            "    hear.apply_async(['from-real'], queue='everyone', connection=connection)",
        )
        eventually(lambda: len(heard.read_text().splitlines()) == 4)

    assert sorted(heard.read_text().splitlines()) == [
        "ours from-ours", "ours from-real", "real from-ours", "real from-real",
    ]  # fmt: skip
