"""Celery's tables: how they come to be, what older ones lack, and what is said of tables that are something else."""

import threading
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from celery_rs.errors import BackendError
from tests.backends.sql_opened import Open, open_sql, record, url
from tests.deadlines import DEADLINE_S

__all__ = ["open_sql", "url"]

OLD = """
CREATE TABLE celery_taskmeta (
    id {id}, task_id VARCHAR(155) UNIQUE, status VARCHAR(50), result {blob}, date_done {date},
    traceback TEXT
)
"""
"""As Celery 4 made it, but that the table numbers its rows."""


KINDS = {
    "sqlite": {"id": "INTEGER PRIMARY KEY", "blob": "BLOB", "date": "DATETIME"},
    "postgresql": {"id": "SERIAL PRIMARY KEY", "blob": "BYTEA", "date": "TIMESTAMP"},
    "mysql": {"id": "INTEGER PRIMARY KEY AUTO_INCREMENT", "blob": "BLOB", "date": "DATETIME"},
}


def execute(url: str, *statements: str) -> None:
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    kinds = KINDS[engine.name]
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement.format(**kinds))
    engine.dispose()


def columns(url: str, table: str) -> set[str]:
    engine = sa.create_engine(url)
    found = {column["name"] for column in sa.inspect(engine).get_columns(table)}
    engine.dispose()
    return found


def test_columns_that_an_older_celery_did_not_have_are_added(url: str, open_sql: Open) -> None:
    execute(url, OLD)
    store = open_sql()

    store.store([record("a", attempt=2, extended={"name": "proj.add", "args": [1], "kwargs": {}, "worker": "w"})])

    assert store.fetch(["a"])["a"].attempt == 2
    assert columns(url, "celery_taskmeta") >= {"children", "name", "args", "kwargs", "retries", "queue", "stamps"}


def test_processes_may_make_the_tables_at_once(open_sql: Open) -> None:
    together = threading.Barrier(6)
    failed: list[Exception] = []

    def begin(number: int) -> None:
        try:
            mine = open_sql(database_create_tables_at_setup=False)
            together.wait(DEADLINE_S)
            mine.store([record(f"task-{number}")])
            mine.open_chord("chord", number)
        except Exception as error:  # noqa: BLE001 - it is told
            failed.append(error)

    threads = [threading.Thread(target=begin, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)

    assert not failed
    assert len(open_sql().fetch([f"task-{number}" for number in range(6)])) == 6


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("(id {id}, name VARCHAR(10))", "has no column 'task_id'"),
        (
            "(id {id}, task_id VARCHAR(155) UNIQUE, status VARCHAR(50), result TEXT, date_done {date})",
            "column 'result' .* must hold bytes, but is TEXT",
        ),
    ],
)
def test_a_table_of_another_shape_is_named_in_one_line(url: str, open_sql: Open, table: str, says: str) -> None:
    execute(url, f"CREATE TABLE celery_taskmeta {table}")
    store = open_sql()

    with pytest.raises(BackendError, match=says) as caught:
        store.fetch(["a"])

    assert "\n" not in str(caught.value)
    assert "database_table_names" in str(caught.value)


def test_a_table_whose_ids_are_not_unique_is_refused_in_one_line(url: str, open_sql: Open) -> None:
    execute(url, OLD.replace("UNIQUE", ""))
    store = open_sql()

    with pytest.raises(BackendError, match="the column 'task_id' of the table 'celery_taskmeta' must be unique"):
        store.store([record("a")])


def test_tables_that_were_dropped_are_made_again(url: str, open_sql: Open) -> None:
    store = open_sql()
    store.store([record("a")])
    execute(url, "DROP TABLE celery_taskmeta", "DROP TABLE celery_tasksetmeta")

    with pytest.raises(BackendError):
        store.fetch(["a"])

    assert list(store.store([record("a")])) == [True]


def test_results_do_not_need_the_tables_of_chords(url: str, open_sql: Open) -> None:
    store = open_sql()
    store.store([record("a")])
    store.cleanup()

    assert not store.database.has(store.tables.chords)


def test_rows_are_dated_in_utc_whatever_their_state(open_sql: Open) -> None:
    store = open_sql()
    store.store([record("a", "STARTED"), record("b")])
    tasks = store.tables.tasks

    dates = store.database.ask(lambda connection: connection.execute(sa.select(tasks.c.date_done)).scalars().all())

    now = datetime.now(UTC).replace(tzinfo=None)
    assert all(abs((now - date).total_seconds()) < 30 for date in dates)
    assert len(dates) == 2
