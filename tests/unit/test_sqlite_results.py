"""What is particular to results in the embedded database: the rule as SQL, waiting across processes, housekeeping."""

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from celery_rs import states
from celery_rs.backends import open_backend
from celery_rs.backends.sqlite import SqliteBackend
from celery_rs.errors import BackendError, OperationalError
from celery_rs.transports import Completion, open_transport
from celery_rs.transports.sqlite import NET_S, Database, ResultTable, SqliteTransport
from celery_rs.transports.sqlite.upkeep import Upkeep
from celery_rs.wire import ChordPart, TaskResult, supersedes
from tests.conformance.calls import call
from tests.deadlines import DEADLINE_S
from tests.unit.sqlite_processes import process

STATES = st.sampled_from([*sorted(states.ALL_STATES), states.REJECTED, states.IGNORED, "PROGRESS", "ÜBLICH"])
RECORDS = st.builds(TaskResult, st.just("t"), STATES, st.integers(0, 3), st.binary(max_size=3), reply_to=st.just(""))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tasks.sqlite3"


@pytest.fixture
def backend(path):
    backend = SqliteBackend(Database(path))
    yield backend
    backend.close()


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    """One database for all examples of a property: each uses an id of its own."""
    database = Database(tmp_path_factory.mktemp("scratch") / "results.sqlite3")
    yield SqliteBackend(database)
    database.close()


@settings(derandomize=True, database=None, max_examples=400)
@given(records=st.lists(RECORDS, min_size=1, max_size=8))
def test_the_statement_agrees_with_the_rule(scratch, records):
    scratch.forget(["t"])
    kept = None
    expected = []
    for record in records:
        replaced = kept is None or supersedes(record.state, record.attempt, over=kept.state, over_attempt=kept.attempt)
        expected.append(replaced)
        kept = record if replaced else kept

    assert list(scratch.store(records)) == expected
    assert scratch.fetch(["t"]) == {"t": kept}


def test_broker_and_store_of_one_file_share_one_connection(path):
    transport = open_transport(f"sqlite:///{path}", {})
    backend = open_backend(f"sqlite:////{path}?sync=normal", {}, expires=60)

    assert isinstance(transport, SqliteTransport)
    assert isinstance(backend, SqliteBackend)
    assert transport.database is backend.database
    transport.close()
    assert backend.fetch(["a"]) == {}
    backend.close()


def test_a_finish_commits_with_the_store_in_the_same_file_only(path):
    transport = SqliteTransport(Database(path))
    consumer = transport.consume(["q"])
    here, elsewhere = SqliteBackend(Database(path)), SqliteBackend(Database(path.with_name("other.sqlite3")))

    assert consumer.commits(here)
    assert not consumer.commits(elsewhere)
    consumer.close()
    for opened in (transport, here, elsewhere):
        opened.close()


def test_a_result_is_heard_by_a_waiting_process_at_once(path, backend):
    transport = SqliteTransport(Database(path))
    consumer = transport.consume(["q"])
    assert consumer.commits(backend)
    script = """
b = open_backend(url, {}, expires=60)
for id in sys.stdin:
    say("waits")
    (record,) = b.watch([id.strip()], 20)
    say(time.monotonic(), record.task_id, record.state)
"""
    delays = []
    with process(f"sqlite:///{path}", script) as waiter:
        for id in map(str, range(5)):
            transport.publish([call(id)])
            (delivery,) = consumer.receive(1, 0).deliveries
            waiter.tell(id)
            waiter.hears()
            while not backend.database.read("SELECT 1 FROM waiters"):
                time.sleep(0.001)
            started = time.monotonic()
            consumer.finish([Completion(delivery.tag, record=TaskResult(id, "SUCCESS", 0, b"{}"))])
            at, *record = waiter.hears()
            assert record == [id, "SUCCESS"]
            delays.append(float(at) - started)

    assert sorted(delays)[2] < NET_S / 2
    assert backend.database.read("SELECT * FROM waiters") == []
    consumer.close()
    transport.close()


def test_a_waiting_process_that_dies_costs_the_next_store_nothing(path, backend):
    script = "say('waits'); list(open_backend(url, {}, expires=60).watch(['a', 'b'], 20))"
    with process(f"sqlite:///{path}", script) as dead:
        dead.hears()
        while not backend.database.read("SELECT 1 FROM waiters"):
            time.sleep(0.001)
        dead.kill()

    assert backend.store([TaskResult("a", "SUCCESS", 0, b"{}")]) == [True]

    assert backend.database.read("SELECT * FROM waiters") == []


def test_a_watch_that_ends_early_leaves_nothing_behind(path, backend):
    backend.database.doors()

    assert list(backend.watch(["a"], 0.1)) == []

    assert backend.database.read("SELECT * FROM waiters") == []
    assert list(Path(f"{path}.d").iterdir()) == []


def test_a_watch_whose_store_fails_leaves_no_socket_behind(path, backend, monkeypatch):
    def fail() -> None:
        raise OperationalError("the disk is full")

    def fail_from_now_on() -> None:
        monkeypatch.setattr(backend.database, "transaction", fail)
        fail()

    backend.database.doors()
    monkeypatch.setattr(backend.database, "version", fail_from_now_on)

    with pytest.raises(BackendError):
        list(backend.watch(["a"], DEADLINE_S))

    assert list(Path(f"{path}.d").iterdir()) == []


def test_many_ids_are_watched_and_fetched_together(backend):
    every = [str(number) for number in range(3_000)]
    backend.store([TaskResult(id, "SUCCESS", 0, b"{}") for id in every])

    assert set(backend.fetch(every)) == set(every)
    assert {record.task_id for record in backend.watch(every, DEADLINE_S)} == set(every)


def test_a_store_that_fails_is_named_as_a_store(backend):
    backend.database.read("PRAGMA query_only = 1")

    with pytest.raises(BackendError, match="cannot be written"):
        backend.store([TaskResult("a", "SUCCESS", 0, b"{}")])


def test_what_has_expired_leaves_the_file(path):
    now = [1_000.0]
    database = Database(path, clock=lambda: now[0])
    backend = SqliteBackend(database, expires=60)
    backend.store([TaskResult(str(number), "SUCCESS", 0, b"{}") for number in range(2_500)])
    backend.open_chord("group", 2)
    backend.claim_chords([ChordPart("group", "a", 0, "SUCCESS", b"1")], 10)
    transport = SqliteTransport(database)
    transport.publish([call("a", once="once")])
    transport.facts.put("revoked", "a", b"", until=now[0] + 60)

    Upkeep(database).sweep()
    assert database.read("SELECT count(*) FROM results") == [(2_500,)]

    now[0] += 86_401
    Upkeep(database).sweep()
    for table in ("results", "chords", "chord_parts", "once", "facts"):
        assert database.read(f"SELECT count(*) FROM {table}") == [(0,)], table
    database.close()


def test_results_without_an_expiry_stay(path):
    now = [1_000.0]
    database = Database(path, clock=lambda: now[0])
    SqliteBackend(database, expires=None).store([TaskResult("a", "SUCCESS", 0, b"{}")])

    now[0] += 1e9
    Upkeep(database).sweep()

    assert set(SqliteBackend(database).fetch(["a"])) == {"a"}
    database.close()


def test_the_ready_ranks_of_the_statement_are_the_ready_states():
    ranks = {states.precedence(state) for state in states.READY_STATES}

    assert ranks == {0, 1, 3}
    assert not ranks & {states.precedence(state) for state in states.UNREADY_STATES | {"PROGRESS"}}


def test_zero_means_no_expiry():
    assert ResultTable(0).expiry(5.0) is None
