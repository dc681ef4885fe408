"""A database that is full, locked, read-only or has no connection left: one line says so, and what was there stays."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from celery_rs.backends.opening import Opening
from celery_rs.backends.sql import SqlBackend, database, open_store
from celery_rs.errors import BackendError
from tests.backends.sql_opened import record


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "results.db"


@pytest.fixture
def open_file(file: Path) -> Iterator[Callable[..., SqlBackend]]:
    opened: list[SqlBackend] = []

    def open_file(url: str = f"sqlite:///{file}", **settings: Any) -> SqlBackend:
        opened.append(open_store(Opening(f"db+{url}", {}, settings, None)))
        return opened[-1]

    yield open_file
    for store in opened:
        store.close()


def complaint(ask: Callable[[], object]) -> str:
    with pytest.raises(BackendError) as caught:
        ask()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_full_database_is_told_and_what_was_there_stays(file: Path, open_file: Callable[..., SqlBackend]) -> None:
    def fill(engine: sa.Engine) -> None:
        sa.event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA max_page_count = 20"))

    store = open_file(database_engine_callback=fill)
    store.store([record("a")])

    said = complaint(lambda: store.store([record("b", result="x" * 200_000)]))

    assert said == f"result store db+sqlite:///{file} failed: database or disk is full"
    assert store.fetch(["a", "b"]) == {"a": record("a")}
    assert list(store.store([record("c")])) == [True], "what is small goes in"


def test_a_file_that_takes_no_writes_is_read_all_the_same(file: Path, open_file: Callable[..., SqlBackend]) -> None:
    open_file().store([record("a")])
    careful = open_file(f"sqlite:///file:{file}?mode=ro&uri=true")

    assert careful.fetch(["a"]) == {"a": record("a")}
    assert "readonly" in complaint(lambda: careful.store([record("b")]))


def test_a_database_that_somebody_has_locked_is_waited_for(
    file: Path, open_file: Callable[..., SqlBackend], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_file(database_engine_options={"connect_args": {"timeout": 0.05}})
    store.store([record("a")])
    with closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        unlock = threading.Timer(0.3, other.execute, ["ROLLBACK"])
        unlock.start()

        assert list(store.store([record("b")])) == [True]

        unlock.join()
        other.execute("BEGIN IMMEDIATE")
        monkeypatch.setattr(database, "PATIENCE_S", 0.2)
        assert "others are in the way for too long: database is locked" in complaint(lambda: store.store([record("c")]))
        other.execute("ROLLBACK")


def test_a_pool_that_has_no_connection_left_says_what_to_raise(open_file: Callable[..., SqlBackend]) -> None:
    options = {"pool_size": 1, "max_overflow": 0, "pool_timeout": 0.05}
    store = open_file(database_engine_options=options)
    store.store([record("a")])

    with store.database.engine.connect():
        said = complaint(lambda: store.fetch(["a"]))

    assert "raise pool_size or max_overflow in database_engine_options" in said


def test_a_file_that_is_no_database_is_told_in_one_line(file: Path, open_file: Callable[..., SqlBackend]) -> None:
    file.write_bytes(b"no database" * 1000)

    assert f"{file} failed: file is not a database" in complaint(lambda: open_file().fetch(["a"]))


def test_a_folder_that_is_not_there_is_told_in_one_line(tmp_path: Path, open_file: Callable[..., SqlBackend]) -> None:
    store = open_file(f"sqlite:///{tmp_path}/nowhere/results.db")

    assert "cannot be reached: unable to open database file" in complaint(lambda: store.fetch(["a"]))
