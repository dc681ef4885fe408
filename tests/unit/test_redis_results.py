"""What is particular to results in a Redis: the shared subscription, records no script can read, Celery's bytes."""

import json
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from celery_rs import states
from celery_rs.backends import open_backend
from celery_rs.backends.peek import peek
from celery_rs.backends.redis import RedisBackend
from celery_rs.backends.redis.chords import read_part
from celery_rs.serializers import serializer
from celery_rs.transports import Completion, open_transport
from celery_rs.wire import ChordPart, ResultCodec, TaskResult, encode_meta, supersedes
from tests.conformance.calls import call
from tests.deadlines import DEADLINE_S, SOON_S
from tests.redis_server import OwnRedis

CODECS = {
    "pickle": ResultCodec(serializer("pickle")),
    "yaml": ResultCodec(serializer("yaml")),
    "msgpack": ResultCodec(serializer("msgpack")),
    "gzip": ResultCodec(compression="gzip"),
    "pickle and zstd": ResultCodec(serializer("pickle"), "zstd"),
}
STATES = st.sampled_from([*sorted(states.ALL_STATES), states.REJECTED, "PROGRESS", "ÜBLICH"])

_numbers = count()


def opened(redis: OwnRedis, codec: ResultCodec | None = None, db: int | None = None, **settings: Any) -> RedisBackend:
    """A store in a database of its own, unless one is named."""
    codec = codec or ResultCodec()
    url = f"redis://127.0.0.1:{redis.port}/{next(_numbers) % 1000 if db is None else db}"
    backend = open_backend(
        url,
        settings.pop("options", {}),
        expires=settings.pop("expires", 86_400),
        settings={"result_serializer": codec.serializer.name, "result_compression": codec.compression, **settings},
    )
    assert isinstance(backend, RedisBackend)
    return backend


@pytest.fixture
def backend(some_redis: OwnRedis) -> Iterator[RedisBackend]:
    backend = opened(some_redis)
    yield backend
    backend.close()


def record(
    task_id: str, state: str = "SUCCESS", attempt: int = 0, value: object = None, codec: ResultCodec | None = None
) -> TaskResult:
    codec = codec or ResultCodec()
    meta = encode_meta(task_id, state, value, now=0.0, codec=codec, attempt=attempt)
    return TaskResult(task_id, state, attempt, meta)


def ask(backend: RedisBackend, *command: bytes | str | float) -> Any:
    with backend.server.borrowed() as link:
        return link.call(*command)


# Waiting


def test_all_who_wait_share_one_subscription(backend: RedisBackend, some_redis: OwnRedis) -> None:
    found: list[str] = []
    ids = [f"task-{number}" for number in range(20)]
    waiting = [
        threading.Thread(target=lambda id=id: found.extend(one.task_id for one in backend.watch([id], DEADLINE_S)))
        for id in ids
    ]
    for thread in waiting:
        thread.start()
    wait_for(lambda: len(channels(backend)) == 20)
    clients = ask(backend, "CLIENT", "LIST").decode().splitlines()
    subscriptions = [line.partition(" sub=")[2].partition(" ")[0] for line in clients]

    assert sorted(number for number in subscriptions if number != "0") == ["20"]
    backend.store([record(id) for id in ids])
    for thread in waiting:
        thread.join(DEADLINE_S)
    assert sorted(found) == sorted(ids)


def channels(backend: RedisBackend) -> list[bytes]:
    found: list[bytes] = ask(backend, "PUBSUB", "CHANNELS", backend.keys.prefix + "celery-task-meta-*")
    return found


def wait_for(holds: Any) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)  # the server gives no event


def test_who_waits_no_more_leaves_its_subscription_until_the_next_wait(some_redis: OwnRedis) -> None:
    backend = opened(some_redis, options={"global_keyprefix": "leaves-one"})
    backend.store([record("a")])
    assert [one.task_id for one in backend.watch(["a", "b"], 0.05)] == ["a"]

    assert list(backend.watch(["c"], 0.05)) == []

    assert [channel.rpartition(b"-")[2] for channel in channels(backend)] == [b"c"]
    backend.close()


def test_not_many_subscriptions_are_left(some_redis: OwnRedis) -> None:
    backend = opened(some_redis, options={"global_keyprefix": "leaves-few"})

    assert list(backend.watch([f"task-{number}" for number in range(500)], 0.05)) == []

    wait_for(lambda: channels(backend) == [])
    backend.close()


def test_a_wait_that_ends_hands_the_reading_on(backend: RedisBackend) -> None:
    found: list[TaskResult] = []
    reads = threading.Thread(target=lambda: list(backend.watch(["never"], 0.3)))
    stands = threading.Thread(target=lambda: found.extend(backend.watch(["a"], DEADLINE_S)))
    reads.start()
    wait_for(lambda: len(channels(backend)) == 1)
    stands.start()
    reads.join(DEADLINE_S)

    backend.store([record("a")])

    stands.join(DEADLINE_S)
    assert found == [record("a")]


def test_two_may_wait_for_one_result(backend: RedisBackend) -> None:
    found: list[TaskResult] = []
    waiting = [threading.Thread(target=lambda: found.extend(backend.watch(["a", "b"], DEADLINE_S))) for _ in range(3)]
    for thread in waiting:
        thread.start()
    wait_for(lambda: len(channels(backend)) == 2)

    backend.store([record("a")])
    backend.store([record("b")])

    for thread in waiting:
        thread.join(DEADLINE_S)
    assert sorted(one.task_id for one in found) == ["a", "a", "a", "b", "b", "b"]


def test_a_lost_notification_costs_a_second(backend: RedisBackend) -> None:
    found: list[TaskResult] = []
    waiting = threading.Thread(target=lambda: found.extend(backend.watch(["a"], DEADLINE_S)))
    waiting.start()
    wait_for(lambda: len(channels(backend)) == 1)
    began = time.monotonic()

    ask(backend, "SET", backend.keys.record("a"), record("a").meta)

    waiting.join(DEADLINE_S)
    assert found == [record("a")]
    assert time.monotonic() - began < SOON_S


def test_many_results_are_collected_as_they_come(backend: RedisBackend) -> None:
    ids = [f"task-{number}" for number in range(5000)]
    backend.store([record(id) for id in ids[:2500]])
    writer = threading.Timer(0.05, lambda: backend.store([record(id) for id in ids[2500:]]))
    writer.start()

    assert {one.task_id for one in backend.watch(ids, DEADLINE_S)} == set(ids)
    writer.join()


FORKS = """
import os, sys, threading, time
from celery_rs.backends import open_backend
from celery_rs.wire import TaskResult, encode_meta
from tests.deadlines import DEADLINE_S, SOON_S

def record(id):
    return TaskResult(id, "SUCCESS", 0, encode_meta(id, "SUCCESS", None, now=0.0))

backend = open_backend(sys.argv[1], {}, expires=60)
assert backend.fetch(["nothing"]) == {}
assert list(backend.watch(["nothing"], 0.05)) == []  # the connections are there
child = os.fork()
if child == 0:
    threading.Timer(0.1, backend.store, [[record("childs")]]).start()
    os._exit(0 if list(backend.watch(["childs"], 20)) == [record("childs")] else 1)
threading.Timer(0.1, backend.store, [[record("parents")]]).start()
assert list(backend.watch(["parents"], 20)) == [record("parents")]
assert os.waitpid(child, 0)[1] == 0
"""


def test_parent_and_child_wait_over_connections_of_their_own(some_redis: OwnRedis) -> None:
    url = f"redis://127.0.0.1:{some_redis.port}/{next(_numbers) % 1000}"

    subprocess.run([sys.executable, "-c", FORKS, url], check=True, timeout=DEADLINE_S)


# Records that no script can read


@pytest.mark.parametrize("name", CODECS)
def test_a_record_that_no_script_reads_never_goes_backwards(some_redis: OwnRedis, name: str) -> None:
    codec = CODECS[name]
    backend = opened(some_redis, codec)

    @settings(derandomize=True, database=None, max_examples=60)
    @given(told=st.lists(st.tuples(STATES, st.integers(0, 3)), min_size=1, max_size=6))
    def agrees(told: list[tuple[str, int]]) -> None:
        backend.forget(["t"])
        kept: tuple[str, int] | None = None
        expected = []
        for state, attempt in told:
            replaced = kept is None or supersedes(state, attempt, over=kept[0], over_attempt=kept[1])
            expected.append(replaced)
            kept = (state, attempt) if replaced else kept

        assert list(backend.store([record("t", *each, codec=codec) for each in told])) == expected
        assert backend.fetch(["t"])["t"][1:3] == kept

    agrees()
    backend.close()


@pytest.mark.parametrize("name", CODECS)
def test_a_record_that_no_script_reads_is_heard_of(some_redis: OwnRedis, name: str) -> None:
    backend = opened(some_redis, CODECS[name])
    stored = record("a", value="x" * 100, codec=CODECS[name])
    writer = threading.Timer(0.05, backend.store, [[stored]])
    writer.start()

    assert list(backend.watch(["a"], DEADLINE_S)) == [stored]

    writer.join()
    backend.close()


@pytest.mark.parametrize("name", CODECS)
def test_the_broker_does_not_store_what_its_scripts_cannot_read(some_redis: OwnRedis, name: str) -> None:
    backend = opened(some_redis, CODECS[name])
    transport = open_transport(f"redis://127.0.0.1:{some_redis.port}/{backend.server.place.db}", {})
    consumer = transport.consume(["q"])

    assert not consumer.commits(backend)
    consumer.close()
    transport.close()
    backend.close()


def test_a_finish_says_whether_anybody_listens(some_redis: OwnRedis) -> None:
    backend = opened(some_redis)
    transport = open_transport(f"redis://127.0.0.1:{some_redis.port}/{backend.server.place.db}", {})
    consumer = transport.consume(["q"])
    assert consumer.commits(backend)
    transport.publish([call("waited-for"), call("b"), call("c")])
    waited_for, *others = [delivery.tag for delivery in consumer.receive(3, 0).deliveries]
    listener = threading.Thread(target=lambda: list(backend.watch(["waited-for"], DEADLINE_S)))
    listener.start()
    wait_for(lambda: len(channels(backend)) == 1)

    assert consumer.finish([Completion(tag, record=record(tag)) for tag in others]) == ["unheard"] * 2
    assert consumer.finish([Completion(waited_for, record=record("waited-for"))]) == ["committed"]
    listener.join(DEADLINE_S)
    consumer.close()
    transport.close()
    backend.close()


def test_a_finish_does_not_set_back_what_another_setting_has_written(some_redis: OwnRedis) -> None:
    packed = ResultCodec(compression="gzip")
    backend = opened(some_redis)
    transport = open_transport(f"redis://127.0.0.1:{some_redis.port}/{backend.server.place.db}", {})
    consumer = transport.consume(["q"])
    assert consumer.commits(backend)
    stored = {id: record(id, codec=packed) for id in ("a", "b")}
    ask(backend, "MSET", *(part for id in stored for part in (backend.keys.record(id), stored[id].meta)))
    transport.publish([call("a"), call("b")])
    tags = [delivery.tag for delivery in consumer.receive(2, 0).deliveries]

    told = [record("a", "STARTED"), record("b", "FAILURE")]
    consumer.finish([Completion(tag, record=each) for tag, each in zip(tags, told, strict=True)])

    assert backend.fetch(["a", "b"]) == {"a": stored["a"], "b": told[1]}
    consumer.close()
    transport.close()
    backend.close()


class Harmful:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_looking_at_a_pickle_runs_nothing(tmp_path: Path) -> None:
    raw = pickle.dumps({"status": "RETRY", "result": Harmful(tmp_path / "made"), "attempt": 2})

    assert peek(raw, serializer("pickle")) == ("RETRY", 2)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "garbage", [b"", b"\x80\x04garbage", b"[1]", b"{", b"\x00celery-compressed\x00gzip\x00x", b"1"]
)
def test_garbage_in_place_of_a_record_stands_back(backend: RedisBackend, garbage: bytes) -> None:
    ask(backend, "SET", backend.keys.record("a"), garbage)

    assert list(backend.store([record("a", "STARTED")])) == [True]
    assert backend.fetch(["a"]) == {"a": record("a", "STARTED")}


def test_a_key_that_holds_something_else_is_written_over(backend: RedisBackend) -> None:
    ask(backend, "RPUSH", backend.keys.record("a"), "x")
    assert backend.fetch(["a"]) == {}

    assert list(backend.store([record("a")])) == [True]


# Celery's bytes


@pytest.mark.parametrize(("expires", "lives"), [(60, range(55, 61)), (0, [-1]), (None, [-1])])
def test_a_record_lives_as_long_as_the_setting_says(some_redis: OwnRedis, expires: Any, lives: Any) -> None:
    backend = opened(some_redis, expires=expires)

    backend.store([record("a")])

    assert ask(backend, "TTL", backend.keys.record("a")) in lives
    backend.close()


@pytest.mark.parametrize(("given", "prefix"), [("p", "p_"), ("p:", "p:"), ("p.", "p."), ("p-", "p-"), ("", "")])
def test_keys_have_celerys_prefix(some_redis: OwnRedis, given: str, prefix: str) -> None:
    backend = opened(some_redis, options={"global_keyprefix": given})

    backend.store([record("a")])

    assert ask(backend, "KEYS", "*") == [f"{prefix}celery-task-meta-a".encode()]
    backend.close()


def test_chords_lie_on_celerys_keys(backend: RedisBackend) -> None:
    backend.open_chord("g", 2)
    backend.claim_chords([ChordPart("g", "a", 0, "SUCCESS", b"2")], 10.0)
    group = "celery-taskset-meta-g"

    assert ask(backend, "GET", f"{group}.s") == b"2"
    assert ask(backend, "SMEMBERS", f"{group}.d") == [b"a:0"]
    assert ask(backend, "ZRANGE", f"{group}.j", 0, -1, "WITHSCORES") == [b'[1, "a", "SUCCESS", 2]', b"0"]
    (claim,) = backend.claim_chords([ChordPart("g", "b", 1, "SUCCESS", b"1")], 10.0)
    claim.close(published=True)
    assert ask(backend, "KEYS", "*") == [f"{group}.c".encode()]
    assert ask(backend, "GET", f"{group}.c") == b"done"
    assert 295 < ask(backend, "TTL", f"{group}.c") <= 300


def test_a_claim_whose_reply_was_lost_is_had_by_asking_again(backend: RedisBackend, monkeypatch: Any) -> None:
    monkeypatch.setattr("secrets.token_hex", lambda size: "token")
    backend.open_chord("g", 1)
    part = ChordPart("g", "a", 0, "SUCCESS", b"2")
    backend.claim_chords([part], 10.0)

    assert [list(claim.parts) for claim in backend.claim_chords([part], 10.0)] == [[part]]


def test_a_part_that_celery_has_counted_is_read() -> None:
    counted = json.dumps([1, 'odd "id"', "FAILURE", {"exc_type": "KeyError"}]).encode()

    assert read_part("g", counted, b"0") == ChordPart("g", 'odd "id"', 0, "FAILURE", b'{"exc_type": "KeyError"}')
    assert read_part("g", b'[1, "a", "SUCCESS", [1, "]"]]', b"inf") == ChordPart("g", "a", None, "SUCCESS", b'[1, "]"]')
