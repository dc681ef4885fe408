"""Results over each broker, `rpc://`: what a store promises, as far as one can that stores nothing."""

import threading
import time
from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest

from celery_rs.backends.rpc import RpcBackend
from celery_rs.wire import TaskResult, encode_meta
from tests.conformance.worlds import World
from tests.deadlines import DEADLINE_S

Open = Callable[..., RpcBackend]


@pytest.fixture
def opened(world: World) -> Iterator[Open]:
    """The store in a process of its own."""
    stores: list[RpcBackend] = []

    def opened(oid: str = "nobody", expires: float | None = 60.0) -> RpcBackend:
        transport = world.transport()
        stores.append(RpcBackend(lambda: transport, lambda: oid, expires=expires))
        return stores[-1]

    yield opened
    for store in stores:
        store.close()


@pytest.fixture
def oid() -> str:
    return str(uuid4())


@pytest.fixture
def caller(opened: Open, oid: str) -> RpcBackend:
    """Who has a queue, and is about to call."""
    caller = opened(oid)
    caller.expect()
    return caller


@pytest.fixture
def worker(opened: Open) -> RpcBackend:
    return opened()


@pytest.fixture
def record(oid: str) -> Callable[..., TaskResult]:
    def record(task_id: str, state: str = "SUCCESS", attempt: int = 0, result: object = None) -> TaskResult:
        return TaskResult(task_id, state, attempt, encode_meta(task_id, state, result, now=0.0), oid)

    return record


def unaddressed(record: TaskResult) -> TaskResult:
    return record._replace(reply_to="")


def test_a_record_reaches_who_called(caller, worker, record):
    assert list(worker.store([record("a", result="é")])) == [True]

    assert list(caller.watch(["a"], DEADLINE_S)) == [unaddressed(record("a", result="é"))]


def test_it_reaches_nobody_else(caller, worker, opened, record):
    other = opened(str(uuid4()))
    other.expect()

    worker.store([record("a")])

    assert list(caller.watch(["a"], DEADLINE_S))
    assert other.fetch(["a"]) == {}


def test_a_record_without_an_address_is_not_sent(caller, worker, record):
    assert list(worker.store([unaddressed(record("a")), record("b")])) == [False, True]

    assert list(caller.watch(["b"], DEADLINE_S))
    assert caller.fetch(["a"]) == {}


def test_a_result_for_a_caller_who_has_gone_is_no_error(caller, worker, record):
    caller.close()

    worker.store([record("a")])


def test_it_can_be_asked_for_again(caller, worker, record):
    worker.store([record("a")])
    list(caller.watch(["a"], DEADLINE_S))

    assert list(caller.watch(["a"], DEADLINE_S)) == [unaddressed(record("a"))]
    assert caller.fetch(["a", "b"]) == {"a": unaddressed(record("a"))}


def test_the_attempt_travels_along(caller, worker, record):
    worker.store([record("a", "FAILURE", 3)])

    assert [one.attempt for one in caller.watch(["a"], DEADLINE_S)] == [3]


def test_a_record_never_goes_backwards(caller, worker, record):
    worker.store([record("a", "STARTED", 1), record("a", "RETRY", 0), record("b")])
    list(caller.watch(["b"], DEADLINE_S))
    assert caller.fetch(["a"]) == {"a": unaddressed(record("a", "STARTED", 1))}

    worker.store([record("a", "SUCCESS", 1), record("a", "FAILURE", 2), record("c")])
    list(caller.watch(["c"], DEADLINE_S))
    assert caller.fetch(["a"]) == {"a": unaddressed(record("a", "SUCCESS", 1))}


def test_watch_passes_over_what_is_not_ready(caller, worker, record):
    worker.store([record("a", "STARTED"), record("b"), record("c", "RETRY"), record("d", "PROGRESS")])

    assert [one.task_id for one in caller.watch(["b"], DEADLINE_S)] == ["b"]
    assert list(caller.watch(["a", "c", "d"], 0.05)) == []


def test_watch_hears_of_a_record_at_once(caller, worker, record):
    writer = threading.Timer(0.05, worker.store, [[record("a")]])
    writer.start()
    began = time.monotonic()

    assert list(caller.watch(["a"], DEADLINE_S)) == [unaddressed(record("a"))]

    writer.join()
    assert time.monotonic() - began < DEADLINE_S / 2


def test_watch_ends_with_its_timeout(caller):
    began = time.monotonic()

    assert list(caller.watch(["a"], 0.05)) == []

    assert time.monotonic() - began < DEADLINE_S / 2
    assert list(caller.watch([], None)) == []


def test_threads_wait_each_for_its_own(caller, worker, record):
    ids = [f"t{number}" for number in range(20)]
    found: dict[str, list[str]] = {}

    def wait(task_id: str) -> None:
        found[task_id] = [one.task_id for one in caller.watch([task_id], DEADLINE_S)]

    threads = [threading.Thread(target=wait, args=(task_id,)) for task_id in ids]
    for thread in threads:
        thread.start()
    for task_id in reversed(ids):
        worker.store([record(task_id)])
    for thread in threads:
        thread.join(DEADLINE_S)

    assert found == {task_id: [task_id] for task_id in ids}


def test_a_thousand_results_are_collected(caller, worker, record):
    ids = [f"t{number}" for number in range(1000)]
    batches = [[record(task_id) for task_id in ids[start : start + 50]] for start in range(0, 1000, 50)]
    sender = threading.Thread(target=lambda: [worker.store(batch) for batch in batches])
    sender.start()

    found = [one.task_id for one in caller.watch(ids, DEADLINE_S)]

    sender.join()
    assert sorted(found) == sorted(ids)


def test_a_forgotten_record_is_gone(caller, worker, record):
    worker.store([record("a"), record("b")])
    list(caller.watch(["a", "b"], DEADLINE_S))

    caller.forget(["a", "unknown"])

    assert set(caller.fetch(["a", "b"])) == {"b"}


def test_what_came_while_nobody_waited_is_there(caller, worker, record):
    worker.store([record("a")])
    deadline = time.monotonic() + DEADLINE_S

    while not caller.fetch(["a"]):
        assert time.monotonic() < deadline

    assert list(caller.watch(["a"], 0.0)) == [unaddressed(record("a"))]


def test_a_closed_store_can_be_used_again(caller, worker, record):
    caller.close()
    caller.expect()

    worker.store([record("a")])

    assert list(caller.watch(["a"], DEADLINE_S))
