"""Waiting for results in a SQL database: PostgreSQL tells of them, over one connection per process, or one looks."""

import threading
import time
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from celery_rs.backends import looking
from celery_rs.backends.looking import PATIENCE_S
from celery_rs.backends.opening import Opening
from celery_rs.backends.sql import SqlBackend, open_store
from celery_rs.backends.sql.notices import channel_of
from celery_rs.wire import TaskResult
from tests import sql_servers
from tests.backends.sql_opened import record
from tests.deadlines import DEADLINE_S

WAITERS = 20


@pytest.fixture(params=["psycopg", "psycopg2"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    if not sql_servers.there("postgresql"):
        pytest.skip("no PostgreSQL: run `make test`")
    pytest.importorskip(request.param)
    with sql_servers.fresh_database("postgresql", request.param) as url:
        yield f"{url}&application_name={request.param}-{time.monotonic_ns()}"


@pytest.fixture
def store(url: str) -> Iterator[SqlBackend]:
    yield from opened(url)


@pytest.fixture
def writer(url: str) -> Iterator[SqlBackend]:
    """As another process."""
    yield from opened(url.replace("application_name=", "application_name=writer-"))


def opened(url: str) -> Iterator[SqlBackend]:
    store = open_store(Opening(f"db+{url}", {}, {}, None))
    yield store
    store.close()


@pytest.fixture
def rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is not told would have to wait for as long as this test may take."""
    monkeypatch.setattr(looking, "FIRST_S", DEADLINE_S)
    monkeypatch.setattr(looking, "MOST_S", DEADLINE_S)


def listening(writer: SqlBackend, url: str) -> list[int]:
    """The server's processes for those of our connections that listen."""
    name = sa.make_url(url).query["application_name"]
    asked = sa.text("SELECT pid FROM pg_stat_activity WHERE application_name = :name AND query LIKE 'LISTEN%'")
    return writer.database.ask(lambda connection: list(connection.execute(asked, {"name": name}).scalars()))


def wait_until_listening(writer: SqlBackend, url: str) -> list[int]:
    deadline = time.monotonic() + DEADLINE_S
    while not (found := listening(writer, url)):
        assert time.monotonic() < deadline
        time.sleep(0.005)  # the server gives no event
    return found


class Waiter(threading.Thread):
    def __init__(self, store: SqlBackend, task_id: str) -> None:
        super().__init__(name=f"waits for {task_id}")
        self.task_id = task_id
        self._store = store
        self.found: list[TaskResult] = []
        self.start()

    def run(self) -> None:
        self.found = list(self._store.watch([self.task_id], DEADLINE_S))


@pytest.mark.usefixtures("rarely")
def test_all_who_wait_are_told_over_one_connection(store: SqlBackend, writer: SqlBackend, url: str) -> None:
    waiters = [Waiter(store, f"task-{number}") for number in range(WAITERS)]
    began = time.monotonic()
    pids = wait_until_listening(writer, url)

    writer.store([record(waiter.task_id) for waiter in waiters[1:]])
    writer.store([record("task-0")])

    for waiter in waiters:
        waiter.join(DEADLINE_S)
        assert waiter.found == [record(waiter.task_id)]
    assert len(pids) == 1
    assert time.monotonic() - began < DEADLINE_S / 2


@pytest.mark.usefixtures("rarely")
def test_ids_that_fill_many_notifications_are_all_told(store: SqlBackend, writer: SqlBackend, url: str) -> None:
    ids = [f"{number:0>150}" for number in range(500)]
    found: list[TaskResult] = []
    waiter = threading.Thread(target=lambda: found.extend(store.watch(ids, DEADLINE_S)))
    waiter.start()
    wait_until_listening(writer, url)

    writer.store([record(task_id) for task_id in ids])

    waiter.join(DEADLINE_S)
    assert {one.task_id for one in found} == set(ids)


def test_what_is_not_told_is_found(store: SqlBackend, writer: SqlBackend, url: str) -> None:
    writer.store([record("a", "STARTED")])
    waiter = Waiter(store, "a")
    wait_until_listening(writer, url)

    tasks = writer.tables.tasks
    ended = tasks.update().values(status="SUCCESS", result=b"7")  # as Celery would, without a word
    writer.database.ask(lambda connection: connection.execute(ended))

    waiter.join(DEADLINE_S)
    assert [one.state for one in waiter.found] == ["SUCCESS"]


def test_a_connection_that_is_cut_is_missed_by_nobody(store: SqlBackend, writer: SqlBackend, url: str) -> None:
    waiter = Waiter(store, "a")
    (pid,) = wait_until_listening(writer, url)

    writer.database.ask(lambda connection: connection.execute(sa.select(sa.func.pg_terminate_backend(pid))))
    writer.store([record("a")])

    waiter.join(PATIENCE_S)
    assert waiter.found == [record("a")]


def test_tables_of_other_names_have_channels_of_their_own() -> None:
    def channel(name: str, schema: str | None = None) -> str:
        return channel_of(sa.Table(name, sa.MetaData(), schema=schema))

    names = [channel("celery_taskmeta"), channel("mine"), channel("mine", "s"), channel("x" * 60), channel("y" * 60)]

    assert len(set(names)) == len(names)
    assert all(len(name.encode()) <= 63 for name in names)
