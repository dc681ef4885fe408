"""A result store that is cut off, killed or started again while callers wait: they get their results all the same."""

import threading
import time
from collections.abc import Iterator

import pytest

from celery_rs.backends import open_backend
from celery_rs.backends.redis import RedisBackend
from celery_rs.errors import BackendError
from celery_rs.wire import TaskResult, encode_meta
from tests.apps import make_app
from tests.deadlines import DEADLINE_S
from tests.redis_server import OwnRedis

WAITERS = 20


@pytest.fixture
def backend(own_redis: OwnRedis) -> Iterator[RedisBackend]:
    backend = open_backend(own_redis.url, {}, expires=86_400)
    assert isinstance(backend, RedisBackend)
    yield backend
    backend.close()


def record(task_id: str) -> TaskResult:
    return TaskResult(task_id, "SUCCESS", 0, encode_meta(task_id, "SUCCESS", None, now=0.0))


class Waiter(threading.Thread):
    """Waits for one result, as `get` does."""

    def __init__(self, backend: RedisBackend, task_id: str) -> None:
        super().__init__(name=f"waits for {task_id}")
        self.backend = backend
        self.task_id = task_id
        self.found: list[TaskResult] = []
        self.error: Exception | None = None
        self.ended_at = 0.0
        self.start()

    def run(self) -> None:
        try:
            self.found = list(self.backend.watch([self.task_id], DEADLINE_S))
        except BackendError as error:
            self.error = error
        self.ended_at = time.monotonic()

    def end(self) -> list[TaskResult]:
        self.join(DEADLINE_S)
        assert self.error is None
        return self.found


def wait_until_subscribed(redis: OwnRedis, number: int) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while len(redis.call("PUBSUB", "CHANNELS")) < number:
        assert time.monotonic() < deadline
        time.sleep(0.005)  # the server gives no event


def test_a_subscription_that_is_cut_is_made_again(own_redis: OwnRedis, backend: RedisBackend) -> None:
    waiter = Waiter(backend, "a")
    wait_until_subscribed(own_redis, 1)

    own_redis.call("CLIENT", "KILL", "TYPE", "pubsub")
    backend.store([record("a")])
    stored_at = time.monotonic()

    assert waiter.end() == [record("a")]
    assert waiter.ended_at - stored_at < 1.5


def test_a_subscription_that_is_cut_again_and_again_is_made_again(own_redis: OwnRedis, backend: RedisBackend) -> None:
    waiter = Waiter(backend, "a")
    for _ in range(10):
        wait_until_subscribed(own_redis, 1)
        own_redis.call("CLIENT", "KILL", "TYPE", "pubsub")
    backend.store([record("a")])

    assert waiter.end() == [record("a")]


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_all_who_wait_outlive_a_restart_of_their_store(own_redis: OwnRedis, backend: RedisBackend, how: str) -> None:
    waiters = [Waiter(backend, f"task-{number}") for number in range(WAITERS)]
    wait_until_subscribed(own_redis, WAITERS)

    getattr(own_redis, how)()
    own_redis.start()
    backend.store([record(waiter.task_id) for waiter in waiters])

    assert [waiter.end() for waiter in waiters] == [[record(waiter.task_id)] for waiter in waiters]


def test_who_waits_outlives_a_store_that_takes_its_time_to_load(own_redis: OwnRedis, backend: RedisBackend) -> None:
    own_redis.call("EVAL", "for i = 1, 10240 do redis.call('SET', 'fill' .. i, i) end", "0")
    waiter = Waiter(backend, "a")
    wait_until_subscribed(own_redis, 1)

    own_redis.stop()
    own_redis.start("--key-load-delay", "150")  # microseconds: it loads for more than a second and says so
    backend.store([record("a")])

    assert waiter.end() == [record("a")]


def test_what_was_stored_before_a_crash_is_heard_of_after_it(own_redis: OwnRedis, backend: RedisBackend) -> None:
    other = open_backend(own_redis.url, {}, expires=86_400)
    other.store([record("a")])
    own_redis.kill()
    own_redis.start()

    assert list(backend.watch(["a"], DEADLINE_S)) == [record("a")]
    assert other.fetch(["a"]) == {"a": record("a")}, "a connection that has ended unnoticed is no error"
    other.close()


def test_a_store_that_does_not_come_back_is_named(own_redis: OwnRedis) -> None:
    policy = {"retry_policy": {"max_retries": 2, "interval_start": 0, "interval_step": 0.1, "interval_max": 0.1}}
    backend = open_backend(own_redis.url, policy, expires=86_400)
    assert isinstance(backend, RedisBackend)
    waiters = [Waiter(backend, f"task-{number}") for number in range(3)]
    wait_until_subscribed(own_redis, 3)

    own_redis.stop()

    for waiter in waiters:
        waiter.join(DEADLINE_S)
        assert str(waiter.error) == f"result store {own_redis.url} cannot be reached: Connection refused"
    backend.close()


def test_a_client_that_always_retries_waits_for_a_store_that_is_not_there_yet(own_redis: OwnRedis) -> None:
    app = make_app(result_backend=own_redis.url, result_backend_always_retry=True)
    own_redis.stop()
    found: list[object] = []
    waiting = threading.Thread(target=lambda: found.append(app.AsyncResult("a").get(timeout=DEADLINE_S)))
    waiting.start()

    own_redis.start()
    app.backend.store([record("a")])

    waiting.join(DEADLINE_S)
    assert found == [None]
    app.close()
