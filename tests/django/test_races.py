"""Several writers of the same rows at once: none is refused, and no record goes backwards."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from celery_rs.backends.opening import Opening
from celery_rs.wire import TaskResult, encode_meta
from tests.deadlines import DEADLINE_S
from tests.django.configured import database, migrate, set_up, sqlite
from tests.django.mariadb import mariadb_database
from tests.django.postgres import postgres_database

IDS = [f"task-{number}" for number in range(200)]


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    set_up()
    if request.param == "sqlite":
        with database(sqlite(tmp_path / "results.sqlite3")) as alias:
            migrate(alias)
            yield alias
        return
    server = {"postgresql": postgres_database, "mariadb": mariadb_database}[request.param]
    with server() as described, database(described) as alias:
        migrate(alias)
        yield alias


@pytest.mark.usefixtures("shared")
def test_writers_at_once_leave_the_last_word_to_the_rule() -> None:
    from django.db import connections

    from celery_rs.backends.django.database import DjangoDatabaseBackend

    store = DjangoDatabaseBackend(Opening("django-db", {}, {}, 86_400.0))
    ready = threading.Barrier(4)
    failed: list[Any] = []

    def write(state: str, attempt: int, at_once: int) -> None:
        ready.wait(DEADLINE_S)
        try:
            for start in range(0, len(IDS), at_once):
                store.store(
                    [
                        TaskResult(id, state, attempt, encode_meta(id, state, None, now=0.0))
                        for id in IDS[start : start + at_once]
                    ]
                )
        except Exception as error:  # noqa: BLE001  (whatever it is, the test tells)
            failed.append(error)
        finally:
            connections.close_all()

    wanted = [("STARTED", 0, 7), ("RETRY", 0, 5), ("FAILURE", 1, 11), ("SUCCESS", 2, 13)]
    writers = [threading.Thread(target=write, args=each) for each in wanted]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(DEADLINE_S)

    assert failed == []
    assert {(record.state, record.attempt) for record in store.fetch(IDS).values()} == {("SUCCESS", 2)}
