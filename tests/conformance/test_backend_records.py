"""Records of results: never backwards, fetched, watched, forgotten, expired."""

import sys
import threading
import time

import pytest

from celery_rs import states
from celery_rs.errors import RemoteError
from celery_rs.serializers import JSON
from celery_rs.transports import Completion
from celery_rs.wire import TaskResult, decode_failure, decode_meta, encode_meta, supersedes
from tests.deadlines import DEADLINE_S

pytestmark = pytest.mark.needs("store")


STATES = (*sorted(states.ALL_STATES | {states.REJECTED, states.IGNORED}), "PROGRESS", "ÜBLICH")
RECORDS = [(state, attempt) for state in STATES for attempt in range(3)]


def record(task_id: str, state: str = "SUCCESS", attempt: int = 0, result: object = None) -> TaskResult:
    return TaskResult(task_id, state, attempt, encode_meta(task_id, state, result, now=0.0))


def test_a_stored_record_is_fetched_as_it_was(backend):
    stored = record("a", result="é")

    assert list(backend.store([stored])) == [True]

    assert backend.fetch(["a"]) == {"a": stored}


@pytest.mark.needs("extended")
def test_all_that_a_record_may_tell_is_kept(backend):
    """With `result_extended`, in a group, sent by another task, of a task that sent one itself and failed."""
    extended = {
        "name": "proj.add",
        "args": [1, "é"],
        "kwargs": {"k": None},
        "worker": "w@h",
        "retries": 2,
        "queue": "q",
    }
    failure = {"exc_type": "ValueError", "exc_message": ["boom", 1], "exc_module": "builtins"}
    told = encode_meta(
        "a", "FAILURE", failure, now=1_795_352_764.0, traceback="Traceback: é\n", children=["child"], group_id="group",
        parent_id="parent", extended=extended,
    )  # fmt: skip

    backend.store([TaskResult("a", "FAILURE", 2, told)])

    assert decode_meta(backend.fetch(["a"])["a"].meta) == decode_meta(told)


@pytest.mark.parametrize(("module", "name"), [("os", "system"), ("antigravity", "Error"), ("builtins", "SystemExit")])
def test_a_name_in_a_failure_is_not_imported_nor_called(backend, module, name):
    told = {"exc_type": name, "exc_message": ["touch /tmp/x"], "exc_module": module}
    backend.store([record("a", "FAILURE", result=told)])

    raised = decode_failure(decode_meta(backend.fetch(["a"])["a"].meta).result)

    assert type(raised) is RemoteError
    assert "antigravity" not in sys.modules


def test_another_process_fetches_it_too(world, backend):
    backend.store([record("a")])

    assert world.backend().fetch(["a"]) == {"a": record("a")}


def test_unknown_ids_are_left_out(backend):
    backend.store([record("a")])

    assert backend.fetch(["a", "b"]) == {"a": record("a")}
    assert backend.fetch([]) == {}


@pytest.mark.parametrize("over", RECORDS, ids=str)
def test_a_record_is_replaced_exactly_when_the_rule_says_so(backend, over):
    old = [record(f"{state} {attempt}", over[0], over[1], "old") for state, attempt in RECORDS]
    new = [record(f"{state} {attempt}", state, attempt, result="new") for state, attempt in RECORDS]
    expected = [supersedes(state, attempt, over=over[0], over_attempt=over[1]) for state, attempt in RECORDS]
    assert all(backend.store(old))

    assert list(backend.store(new)) == expected

    found = backend.fetch([one.task_id for one in new])
    assert [found[one.task_id] == one for one in new] == expected


def test_the_rule_holds_within_one_batch(backend):
    batch = [record("a", "STARTED"), record("a", "SUCCESS"), record("a", "RETRY"), record("a", "FAILURE", 1)]

    assert list(backend.store(batch)) == [True, True, False, False]

    assert backend.fetch(["a"])["a"].state == "SUCCESS"


@pytest.mark.needs("commits")
def test_the_rule_holds_for_what_a_consumer_finishes(backend, take, consumer):
    assert consumer.commits(backend)
    backend.store([record("a", "FAILURE"), record("b", "FAILURE")])

    consumer.finish([Completion(take("a").tag, record=record("a", "STARTED"))])
    consumer.finish([Completion(take("b").tag, record=record("b", "FAILURE", 1))])

    assert backend.fetch(["a", "b"]) == {"a": record("a", "FAILURE"), "b": record("b", "FAILURE", 1)}


def test_a_forgotten_record_is_gone(backend):
    backend.store([record("a"), record("b")])

    backend.forget(["a", "unknown"])

    assert set(backend.fetch(["a", "b"])) == {"b"}


def test_a_forgotten_task_may_be_stored_anew(backend):
    backend.store([record("a", "SUCCESS")])
    backend.forget(["a"])

    assert list(backend.store([record("a", "STARTED")])) == [True]


@pytest.mark.needs("clock")
def test_records_expire(world):
    backend = world.backend(expires=60.0)
    backend.store([record("a")])

    world.pass_time(50)
    assert set(backend.fetch(["a"])) == {"a"}

    world.pass_time(20)
    assert backend.fetch(["a"]) == {}
    assert list(backend.store([record("a", "STARTED")])) == [True], "what expired supersedes nothing"


@pytest.mark.needs("clock", "failures expire alone")
def test_failures_have_an_expiry_of_their_own(world):
    backend = world.backend(expires=60.0, failure_expires=600.0)
    backend.store([record("a", "FAILURE"), record("b")])

    world.pass_time(70)
    assert set(backend.fetch(["a", "b"])) == {"a"}

    world.pass_time(600)
    assert backend.fetch(["a", "b"]) == {}


@pytest.mark.needs("clock", "failures expire alone")
def test_failures_can_be_kept_for_ever_or_go_sooner(world):
    kept = world.backend(expires=60.0, failure_expires=0)
    kept.store([record("a", "FAILURE")])
    world.pass_time(10 * 365 * 86_400)
    assert set(kept.fetch(["a"])) == {"a"}

    sooner = world.backend(expires=None, failure_expires=60.0)
    sooner.store([record("b", "FAILURE"), record("c")])
    world.pass_time(70)
    assert set(sooner.fetch(["b", "c"])) == {"c"}


@pytest.mark.needs("clock")
def test_a_cleanup_drops_what_has_expired_and_nothing_else(world):
    backend = world.backend(expires=60.0)
    backend.store([record("old")])
    world.pass_time(61.0)
    backend.store([record("new")])

    backend.cleanup()

    assert backend.fetch(["old", "new"]).keys() == {"new"}


@pytest.mark.needs("clock")
def test_records_can_be_kept_for_ever(world):
    backend = world.backend(expires=None)
    backend.store([record("a")])

    world.pass_time(10 * 365 * 86_400)

    assert set(backend.fetch(["a"])) == {"a"}


def saved(*ids: str) -> bytes:
    members = [[[id, None], None] for id in ids]
    return JSON.dumps({"result": [["group", None], members]})


def test_a_saved_group_is_fetched_as_it_was(world, backend):
    backend.save_group("group", saved("a", "b"))

    assert JSON.loads(world.backend().fetch_group("group")) == JSON.loads(saved("a", "b"))
    assert backend.fetch_group("other") is None


def test_a_group_that_is_saved_again_is_replaced(backend):
    backend.save_group("group", saved("a"))
    backend.save_group("group", saved("b"))

    assert JSON.loads(backend.fetch_group("group")) == JSON.loads(saved("b"))


def test_a_group_that_is_forgotten_is_gone(backend):
    backend.save_group("group", saved("a"))

    backend.forget_group("group")
    backend.forget_group("unknown")

    assert backend.fetch_group("group") is None


@pytest.mark.needs("clock")
def test_saved_groups_expire(world):
    backend = world.backend(expires=60.0)
    backend.save_group("group", saved("a"))
    world.pass_time(50)
    assert backend.fetch_group("group") is not None

    world.pass_time(20)
    assert backend.fetch_group("group") is None
    backend.cleanup()
    assert backend.fetch_group("group") is None


def test_watch_yields_what_is_ready(backend):
    backend.store([record("a"), record("b", "FAILURE")])

    assert {one.task_id for one in backend.watch(["a", "b"], DEADLINE_S)} == {"a", "b"}


def test_watch_passes_over_what_is_not_ready(backend):
    backend.store([record("a", "STARTED"), record("b"), record("c", "RETRY"), record("d", "PROGRESS")])

    assert [one.task_id for one in backend.watch(["a", "b", "c", "d"], 0.05)] == ["b"]


def test_watch_hears_of_a_record_at_once(world, backend):
    writer = threading.Timer(0.05, world.backend().store, [[record("a")]])
    writer.start()
    began = time.monotonic()

    found = list(backend.watch(["a"], DEADLINE_S))

    writer.join()
    assert found == [record("a")]
    assert time.monotonic() - began < DEADLINE_S / 2


@pytest.mark.needs("commits")
def test_watch_hears_of_what_a_consumer_finishes(world, take, consumer):
    backend = world.backend()
    assert consumer.commits(backend)
    tag = take("a").tag
    finisher = threading.Timer(0.05, consumer.finish, [[Completion(tag, record=record("a"))]])
    finisher.start()

    found = list(backend.watch(["a"], DEADLINE_S))

    finisher.join()
    assert found == [record("a")]


def test_watch_yields_records_as_they_come(backend):
    backend.store([record("a")])
    watching = backend.watch(["b", "a"], DEADLINE_S)
    assert next(watching) == record("a")

    backend.store([record("b")])

    assert list(watching) == [record("b")]


def test_watch_ends_with_its_timeout(backend):
    began = time.monotonic()

    assert list(backend.watch(["a"], 0.05)) == []

    assert time.monotonic() - began < DEADLINE_S / 2


def test_watching_nothing_ends_at_once(backend):
    assert list(backend.watch([], None)) == []


def test_watching_an_id_twice_yields_it_once(backend):
    backend.store([record("a")])

    assert list(backend.watch(["a", "a"], DEADLINE_S)) == [record("a")]


def test_a_store_describes_itself(backend):
    assert "\n" not in backend.describe()
    assert "://" in backend.describe()


def test_a_store_that_is_printed_says_where_it_is(backend):
    assert str(backend) == f"<{type(backend).__name__}: {backend.describe()}>"
