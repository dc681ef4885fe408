"""A MongoDB that keeps results is killed and started again: nobody hangs with it, every result is there in the end."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from celery_rs.backends import ResultBackend, open_backend
from celery_rs.errors import BackendError
from celery_rs.states import READY_STATES
from celery_rs.wire import TaskResult, encode_meta
from tests.apps import make_app
from tests.deadlines import DEADLINE_S, eventually
from tests.mongodb_server import OwnMongo, own_mongo
from tests.recovery.redis_fleet import EARLY, LATE, Fleet
from tests.recovery.waiter import ALREADY, Waiter

TASKS = 5000
LOOKED_AT = 10
"""One of so many: the server has a worker to serve, too."""
LOOK_S = 0.5


def record(task_id: str) -> TaskResult:
    return TaskResult(task_id, "SUCCESS", 0, encode_meta(task_id, "SUCCESS", None, now=0.0))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[OwnMongo]:
    with own_mongo(tmp_path) as server:
        yield server


@pytest.fixture
def store(server: OwnMongo) -> Iterator[ResultBackend]:
    store = open_backend(server.url, {}, expires=86_400)
    yield store
    store.close()


def test_a_connection_that_has_ended_unnoticed_is_no_error(server: OwnMongo, store: ResultBackend) -> None:
    store.store([record("a")])
    server.kill()
    server.start()

    assert store.fetch(["a"]) == {"a": record("a")}


@pytest.fixture
def impatient(server: OwnMongo) -> Iterator[ResultBackend]:
    store = open_backend(f"{server.url}?serverSelectionTimeoutMS=1000&socketTimeoutMS=1000", {}, expires=86_400)
    yield store
    store.close()


def test_a_store_that_is_down_is_named_in_one_line(
    server: OwnMongo, store: ResultBackend, impatient: ResultBackend
) -> None:
    server.kill()
    where = f"result store mongodb://127.0.0.1:{server.port}/.* cannot be reached"

    for ask in (
        lambda: impatient.fetch(["a"]),
        lambda: impatient.store([record("b")]),
        lambda: impatient.open_chord("g", 2),
    ):
        with pytest.raises(BackendError, match=where) as no:
            ask()
        assert "\n" not in str(no.value)
    server.start()

    assert list(store.store([record("b")])) == [True]


def test_a_store_that_hangs_is_told_of_within_its_timeout(
    server: OwnMongo, store: ResultBackend, impatient: ResultBackend
) -> None:
    store.store([record("a")])
    assert set(impatient.fetch(["a"])) == {"a"}
    server.pause()
    began = time.monotonic()

    # The client asks once more by itself, over a connection that it may not get.
    with pytest.raises(BackendError, match=r"did not answer in time|cannot be reached") as no:
        impatient.fetch(["a"])

    assert time.monotonic() - began < DEADLINE_S / 4
    assert "\n" not in str(no.value)
    server.resume()
    assert store.fetch(["a"]) == {"a": record("a")}


def test_all_who_wait_outlive_a_restart_of_their_store(server: OwnMongo, store: ResultBackend) -> None:
    store.fetch(["a"])
    store.store([record(ALREADY)])
    waiters = [Waiter(store, f"task-{number}") for number in range(5)]
    server.kill()
    server.start()
    store.store([record(waiter.task_id) for waiter in waiters])

    assert [waiter.end() for waiter in waiters] == [[record(waiter.task_id)] for waiter in waiters]


def test_a_client_that_always_retries_waits_for_a_store_that_is_not_there_yet(server: OwnMongo) -> None:
    app = make_app(result_backend=f"{server.url}?serverSelectionTimeoutMS=1000", result_backend_always_retry=True)
    server.kill()
    found: list[object] = []
    waiting = threading.Thread(target=lambda: found.append(app.AsyncResult("a").get(timeout=DEADLINE_S)))
    waiting.start()

    server.start()
    app.backend.store([record("a")])

    waiting.join(DEADLINE_S)
    assert found == [None]
    app.close()


class Onlooker(threading.Thread):
    """Looks at records again and again; `set_back` are those that were ready once and then were not, or were gone."""

    def __init__(self, store: ResultBackend, ids: list[str]) -> None:
        super().__init__(name="looks for records that go backwards", daemon=True)
        self.set_back: set[str] = set()
        self.ready: set[str] = set()
        self._store = store
        self._ids = ids
        self._over = threading.Event()
        self.start()

    def run(self) -> None:
        while not self._over.wait(LOOK_S):
            try:
                found = self._store.fetch(self._ids)
            except BackendError:
                continue
            ready = {id for id, record in found.items() if record.state in READY_STATES}
            self.set_back |= self.ready - ready
            self.ready |= ready

    def end(self) -> None:
        self._over.set()
        self.join()


def test_a_store_that_is_killed_during_5000_tasks_has_every_result_in_the_end(
    server: OwnMongo, store: ResultBackend, tmp_path: Path
) -> None:
    broker: Any = SimpleNamespace(url=f"sqlite:///{tmp_path}/broker.sqlite3")
    settings = {"mongodb_backend_settings": {"serverSelectionTimeoutMS": 1000}}
    with Fleet(tmp_path, broker, backend=server.url, settings=settings) as fleet:
        ids = fleet.send_many(LATE, TASKS // 2) + fleet.send_many(EARLY, TASKS // 2)
        sample = ids[::LOOKED_AT]
        onlooker = Onlooker(store, sample)
        with fleet.worker("one", "-c", "2"):
            for share in (0.2, 0.5, 0.8):
                eventually(lambda share=share: len(onlooker.ready) > share * len(sample))  # type: ignore[misc]
                server.kill()
                server.start()
            eventually(fleet.empty)
        onlooker.end()
        records = store.fetch(ids)

    assert len(records) == TASKS
    assert {record.state for record in records.values()} == {"SUCCESS"}
    assert onlooker.set_back == set()
    assert fleet.read().repeated() == set()
