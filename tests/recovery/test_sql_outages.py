"""A SQL database that keeps results is stopped, killed or hangs: nobody hangs with it, and who waits is told."""

import time
from collections.abc import Callable, Iterator

import pytest

from celery_rs.backends.opening import Opening
from celery_rs.backends.sql import SqlBackend, open_store, patience
from celery_rs.errors import BackendError
from tests.backends.sql_opened import record
from tests.deadlines import SOON_S
from tests.own_databases import PASSWORD, OwnDatabase, own_database
from tests.recovery.waiter import ALREADY, Waiter

__all__ = ["own_database"]


@pytest.fixture
def store(own_database: OwnDatabase) -> Iterator[SqlBackend]:
    store = open_store(Opening(f"db+{own_database.url}", {}, {}, None))
    yield store
    store.close()


def complaint(ask: Callable[[], object]) -> str:
    """In one line, and without the password."""
    with pytest.raises(BackendError) as caught:
        ask()
    said = str(caught.value)
    assert "\n" not in said
    assert PASSWORD not in said
    return said


def test_a_connection_that_has_ended_unnoticed_is_no_error(own_database: OwnDatabase, store: SqlBackend) -> None:
    store.store([record("a")])
    own_database.kill()
    own_database.start()

    assert store.fetch(["a"]) == {"a": record("a")}


def test_a_store_that_is_down_is_named_in_one_line(own_database: OwnDatabase, store: SqlBackend) -> None:
    store.store([record("a")])
    own_database.stop()

    for ask in (lambda: store.fetch(["a"]), lambda: store.store([record("b")]), lambda: store.open_chord("g", 2)):
        assert f"127.0.0.1:{own_database.port}" in complaint(ask)
    own_database.start()

    assert list(store.store([record("b")])) == [True]


def test_all_who_wait_outlive_a_restart_of_their_store(own_database: OwnDatabase, store: SqlBackend) -> None:
    store.store([record(ALREADY)])
    waiters = [Waiter(store, f"task-{number}") for number in range(5)]
    own_database.kill()
    own_database.start()
    store.store([record(waiter.task_id) for waiter in waiters])

    assert [waiter.end() for waiter in waiters] == [[record(waiter.task_id)] for waiter in waiters]


def test_a_store_that_hangs_is_told_of_within_its_timeout(own_database: OwnDatabase) -> None:
    timeouts = {"connect_timeout": 2} | ({} if own_database.url.startswith("postgresql") else {"read_timeout": 2})
    settings = {"database_engine_options": {"connect_args": timeouts}}
    patient = open_store(Opening(f"db+{own_database.url}", {}, settings, None))
    own_database.pause()
    began = time.monotonic()

    said = complaint(lambda: patient.fetch(["a"]))

    assert time.monotonic() - began < SOON_S
    assert f"127.0.0.1:{own_database.port}" in said
    own_database.resume()
    assert patient.fetch(["a"]) == {}
    patient.close()


def test_a_question_that_is_not_answered_is_given_up(
    own_database: OwnDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "ANSWER_S", 2)
    timeouts = {"connect_timeout": 2} | ({} if own_database.url.startswith("postgresql") else {"read_timeout": 2})
    settings = {"database_engine_options": {"connect_args": timeouts, "pool_pre_ping": True}}
    store = open_store(Opening(f"db+{own_database.url}", {}, settings, None))
    store.store([record("a")])
    own_database.pause()
    began = time.monotonic()

    said = complaint(lambda: store.fetch(["a"]))

    assert time.monotonic() - began < SOON_S
    assert f"127.0.0.1:{own_database.port}" in said
    own_database.resume()
    assert store.fetch(["a"]) == {"a": record("a")}
    store.close()


def test_a_wrong_password_is_told_in_one_line(own_database: OwnDatabase) -> None:
    wrong = own_database.url.replace(PASSWORD, "verkehrt").replace("root@", "root:verkehrt@")
    store = open_store(Opening(f"db+{wrong}", {}, {}, None))

    said = complaint(lambda: store.fetch(["a"]))

    assert "verkehrt" not in said
    assert "password" in said.lower()
    store.close()


def test_a_store_that_takes_no_writes_says_so(own_database: OwnDatabase, store: SqlBackend) -> None:
    store.store([record("a")])
    is_postgresql = own_database.url.startswith("postgresql")
    options = (
        {"options": "-cdefault_transaction_read_only=on"}
        if is_postgresql
        else {"init_command": "SET SESSION TRANSACTION READ ONLY"}
    )
    careful = open_store(
        Opening(f"db+{own_database.url}", {}, {"database_engine_options": {"connect_args": options}}, None)
    )

    assert careful.fetch(["a"]) == {"a": record("a")}
    assert "read" in complaint(lambda: careful.store([record("b")])).lower()
    careful.close()
