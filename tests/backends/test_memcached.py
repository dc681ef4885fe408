"""A memcached that is down, slow, full or of several servers, and values that it does not take."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
from pymemcache.client.base import Client

from celery_rs.backends.cache.memcached import open_values
from celery_rs.backends.key_value import Keys, KeyValueBackend, Lasting
from celery_rs.errors import BackendError
from celery_rs.wire import ChordPart, ResultCodec, TaskResult, decode_failure, encode_meta, read_meta
from tests.deadlines import DEADLINE_S, SOON_S
from tests.memcached_server import OwnMemcached, own_memcached

Open = Callable[..., KeyValueBackend]


def record(task_id: str, state: str = "SUCCESS", result: object = None) -> TaskResult:
    return TaskResult(task_id, state, 0, encode_meta(task_id, state, result, now=0.0))


@pytest.fixture
def opened() -> Iterator[Open]:
    """Stores over such servers, closed at the end."""
    with ExitStack() as stack:

        def opened(*servers: str, expires: float | None = 60.0, **options: Any) -> KeyValueBackend:
            backend = KeyValueBackend(open_values(servers, options), Keys(), Lasting(expires, None), ResultCodec())
            stack.callback(backend.close)
            return backend

        yield opened


@pytest.fixture
def server() -> Iterator[OwnMemcached]:
    with own_memcached("-m", "8") as started:
        yield started


def test_a_server_that_is_down_is_told_in_one_line(opened: Open, server: OwnMemcached) -> None:
    server.kill()
    backend = opened(server.server)

    with pytest.raises(BackendError, match=f"^cannot reach result store cache.memcached://{server.server}/: Conn"):
        backend.store([record("a")])


def test_a_server_that_was_started_again_is_reached_at_once(opened: Open, server: OwnMemcached) -> None:
    backend = opened(server.server)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda number: backend.store([record(f"a{number}")]), range(40)))
    server.kill()
    server.start()

    backend.store([record("b")])

    assert backend.fetch(["a1", "b"]) == {"b": record("b")}, "what a memcached held is gone with it"


def test_a_server_that_does_not_answer_is_told_after_the_timeout(opened: Open) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        backend = opened(f"127.0.0.1:{silent.getsockname()[1]}", timeout=0.1)
        began = time.monotonic()

        with pytest.raises(BackendError, match=r"did not answer in time \(`timeout` in cache_backend_options\)$"):
            backend.fetch(["a"])

    assert time.monotonic() - began < SOON_S


def test_a_result_that_is_too_large_is_a_failure_that_says_so(opened: Open, server: OwnMemcached) -> None:
    backend = opened(server.server)

    assert backend.store([record("a", result="x" * 2**20), record("b")]) == [False, True]

    found = backend.fetch(["a", "b"])
    assert found["b"] == record("b")
    said = str(decode_failure(read_meta(found["a"].meta)["result"]))
    assert found["a"].state == "FAILURE"
    assert f"{server.server}/ takes no value as large as the record of task a, which has 1048" in said


def test_of_several_records_in_a_batch_the_one_that_is_too_large_is_replaced(
    opened: Open, server: OwnMemcached
) -> None:
    backend = opened(server.server)
    batch = [record("a", "STARTED"), record("a", result="x" * 2**20), record("a", "RETRY"), record("b")]

    assert backend.store(batch) == [False, False, False, True]

    assert {one.state for one in backend.fetch(["a"]).values()} == {"FAILURE"}


def test_progress_that_is_too_large_is_not_kept(opened: Open, server: OwnMemcached) -> None:
    backend = opened(server.server)

    assert backend.store([record("a", "PROGRESS", "x" * 2**20)]) == [False]

    assert backend.fetch(["a"]) == {}


def test_a_chord_that_is_too_large_is_told_in_one_line(opened: Open, server: OwnMemcached) -> None:
    backend = opened(server.server)
    backend.open_chord("group", 2)

    with pytest.raises(BackendError, match="takes no value as large as the results of chord 'group'"):
        backend.claim_chords([ChordPart("group", "a", 0, "SUCCESS", b"x" * 2**20)], 10.0)


def test_an_id_that_no_key_can_have_is_an_id_all_the_same(opened: Open, server: OwnMemcached) -> None:
    backend = opened(server.server, key_prefix="mine-")
    records = [record(task_id) for task_id in ("with space", "é", "x" * 300, "a\r\nflush_all", "x" * 228)]

    backend.store(records)

    assert backend.fetch([one.task_id for one in records]) == {one.task_id: one for one in records}


def test_the_server_drops_what_has_expired(opened: Open, server: OwnMemcached) -> None:
    backend = opened(server.server, expires=1.0)
    backend.store([record("a")])
    deadline = time.monotonic() + DEADLINE_S

    while backend.fetch(["a"]):
        assert time.monotonic() < deadline


def test_more_than_a_month_is_kept_too(opened: Open, server: OwnMemcached) -> None:
    backend = opened(server.server, expires=90 * 86_400.0)

    backend.store([record("a")])

    assert backend.fetch(["a"]) == {"a": record("a")}


def test_keys_are_where_celerys_client_looks_for_them(opened: Open) -> None:
    from pymemcache.client.hash import HashClient

    with own_memcached() as one, own_memcached() as two:
        backend = opened(one.server, two.server)
        records = [record(f"task-{number}") for number in range(50)]
        backend.store(records)
        celerys = HashClient([one.server, two.server])
        each = [Client(server.server) for server in (one, two)]
        keys = [f"celery-task-meta-task-{number}" for number in range(50)]

        assert len(celerys.get_many(keys)) == 50
        assert backend.fetch([one.task_id for one in records]).keys() == {one.task_id for one in records}
        assert all(10 < len(client.get_many(keys)) < 40 for client in each)
        for client in (celerys, *each):
            client.close()


def test_of_several_servers_one_that_is_down_keeps_its_keys(opened: Open) -> None:
    with own_memcached() as one, own_memcached() as two:
        backend = opened(one.server, two.server)
        two.kill()

        with pytest.raises(BackendError, match=f"memcached://{two.server}/"):
            backend.store([record(f"task-{number}") for number in range(50)])


def test_writers_of_one_record_do_not_undo_each_other(opened: Open, server: OwnMemcached) -> None:
    backends = [opened(server.server) for _ in range(4)]
    start = threading.Barrier(4)

    def write(number: int) -> None:
        start.wait()
        for attempt in range(50):
            meta = encode_meta("a", "RETRY", number, now=0.0)
            backends[number].store([TaskResult("a", "RETRY", 4 * attempt + number, meta)])

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(write, range(4)))

    assert backends[0].fetch(["a"])["a"].attempt == 199


def test_a_forked_child_asks_over_a_connection_of_its_own(opened: Open, server: OwnMemcached) -> None:
    backend = opened(server.server)
    backend.store([record("a")])

    child = os.fork()
    if child == 0:
        backend.after_fork()
        ok = backend.fetch(["a"]).keys() == {"a"} and backend.store([record("b")]) == [True]
        os._exit(0 if ok else 1)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert backend.fetch(["a", "b"]).keys() == {"a", "b"}
