"""The rule that records never go backwards, as each database applies it, against its oracle; and under contention."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from celery_rs import states
from celery_rs.backends.opening import Opening
from celery_rs.backends.sql import SqlBackend, open_store
from celery_rs.backends.sql.upsert import Write, write, write_portably
from celery_rs.wire import TaskResult, supersedes
from tests import sql_servers
from tests.backends.sql_opened import KINDS, Open, open_sql, record, store, url
from tests.deadlines import DEADLINE_S

__all__ = ["open_sql", "store", "url"]

STATES = st.sampled_from([*sorted(states.ALL_STATES), states.REJECTED, states.IGNORED, "PROGRESS", "ÜBLICH"])
RECORDS = st.builds(record, st.sampled_from(["a", "b", "c"]), STATES, st.integers(0, 3), st.integers(0, 9))
BATCHES = st.lists(st.lists(RECORDS, min_size=1, max_size=6), min_size=1, max_size=4)

WAYS: dict[str, Write] = {**dict.fromkeys(KINDS, write), "portable": write_portably}


@pytest.fixture(scope="module", params=WAYS)
def scratch(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlBackend]:
    """One store for all examples of a property."""
    kind = request.param
    if kind not in sql_servers.SERVERS:
        yield from _opened(f"sqlite:///{_file(tmp_path_factory)}", WAYS[kind])
        return
    if not sql_servers.there(kind):
        pytest.skip(f"no {kind}: run `make test`")
    with sql_servers.fresh_database(kind) as url:
        yield from _opened(url, WAYS[kind])


def _file(factory: pytest.TempPathFactory) -> Path:
    return factory.mktemp("scratch") / "results.db"


def _opened(url: str, write: Write) -> Iterator[SqlBackend]:
    store = open_store(Opening(f"db+{url}", {}, {}, None), write=write)
    yield store
    store.close()


@settings(derandomize=True, database=None, max_examples=60)
@given(batches=BATCHES)
def test_what_is_kept_and_what_is_said_agree_with_the_rule(
    scratch: SqlBackend, batches: list[list[TaskResult]]
) -> None:
    scratch.forget(["a", "b", "c"])
    kept: dict[str, TaskResult] = {}
    for batch in batches:
        expected = []
        for one in batch:
            old = kept.get(one.task_id)
            replaced = old is None or supersedes(one.state, one.attempt, over=old.state, over_attempt=old.attempt)
            expected.append(replaced)
            if replaced:
                kept[one.task_id] = one

        assert list(scratch.store(batch)) == expected
        assert scratch.fetch(["a", "b", "c"]) == kept


def test_writers_at_once_neither_fail_nor_set_a_record_back(open_sql: Open) -> None:
    ids = [f"task-{number}" for number in range(40)]
    lives = [("STARTED", 0), ("RETRY", 0), ("STARTED", 1), ("FAILURE", 1)]
    failed: list[Exception] = []

    def write(life: list[tuple[str, int]], order: list[str]) -> None:
        try:
            mine = open_sql()
            for state, attempt in life:
                mine.store([record(task_id, state, attempt) for task_id in order])
        except Exception as error:  # noqa: BLE001 - it is told
            failed.append(error)

    threads = [
        threading.Thread(target=write, args=(life, order))
        for life in (lives, lives[::-1], lives[1:3], lives[2:])
        for order in (ids, ids[::-1])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)

    assert not failed
    found = open_sql().fetch(ids)
    assert {(one.state, one.attempt) for one in found.values()} == {("FAILURE", 1)}
    assert len(found) == len(ids)


def test_a_row_that_does_not_say_how_often_its_task_was_retried_is_of_the_first_attempt(store: SqlBackend) -> None:
    store.store([record("a", "FAILURE", 0)])
    tasks = store.tables.tasks
    store.database.ask(lambda connection: connection.execute(tasks.update().values(retries=None)))

    assert store.fetch(["a"])["a"].attempt == 0
    assert list(store.store([record("a", "FAILURE", 0), record("a", "FAILURE", 1)])) == [False, True]
