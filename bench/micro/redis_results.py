"""How fast are results in a Redis by themselves? No worker, no tasks: store, collect, wait.

    python -m bench.micro redis_results [--url redis://127.0.0.1:6379/9] [--count 20000]

Storing in batches of 100 is set beside a plain pipeline of SET and PUBLISH. For a round trip another process stores
what it is asked for; the callers wait in 1, 4 and 20 threads, and once behind a thread that reads for all. The keys
have a prefix of their own, and are removed in the end.
"""

import argparse
import multiprocessing
import resource
import secrets
import statistics
import threading
import time
from collections.abc import Callable
from functools import partial
from itertools import count

from celery_rs.backends.redis import RedisBackend
from celery_rs.transports.redis import Command, RedisOptions, ResultKeys, Server
from celery_rs.wire import TaskResult, encode_meta

BATCH = 100
TRIPS = 2000
COLLECTED = 10_000
_numbers = count()


def opened(url: str, prefix: str) -> RedisBackend:
    return RedisBackend(Server.at(url, RedisOptions()), ResultKeys(prefix))


def record(id: str) -> TaskResult:
    return TaskResult(id, "SUCCESS", 0, encode_meta(id, "SUCCESS", 5, now=0.0))


def batches(records: list[TaskResult]) -> list[list[TaskResult]]:
    return [records[start : start + BATCH] for start in range(0, len(records), BATCH)]


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def store(backend: RedisBackend, records: list[TaskResult]) -> None:
    for batch in batches(records):
        backend.store(batch)


def pipeline(backend: RedisBackend, records: list[TaskResult]) -> None:
    with backend.server.borrowed() as link:
        for batch in batches(records):
            commands: list[Command] = []
            for each in batch:
                key = backend.keys.record(each.task_id)
                commands += [(b"SET", key, each.meta, b"EX", 86400), (b"PUBLISH", key, each.meta)]
            link.pipeline(commands)


def answer(url: str, prefix: str, trips: int) -> None:
    backend = opened(url, prefix)
    link = backend.server.connect()
    for _ in range(trips):
        _, id = link.call(b"BRPOP", f"{prefix}asked", 30)
        backend.store([record(id.decode())])


def round_trips(url: str, prefix: str, threads: int, *, behind: bool) -> str:
    backend = opened(url, prefix)
    if behind:
        threading.Thread(target=lambda: list(backend.watch(["never"], None)), daemon=True).start()
        time.sleep(0.2)
    other = multiprocessing.Process(target=answer, args=(url, prefix, TRIPS))
    other.start()
    took: list[float] = []

    def ask() -> None:
        link = backend.server.connect()
        for _ in range(TRIPS // threads):
            id = f"trip-{next(_numbers)}"
            started = time.perf_counter()
            link.call(b"LPUSH", f"{prefix}asked", id)
            next(iter(backend.watch([id], 30)))
            took.append(time.perf_counter() - started)

    before = resource.getrusage(resource.RUSAGE_SELF)
    asking = [threading.Thread(target=ask) for _ in range(threads)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    after = resource.getrusage(resource.RUSAGE_SELF)
    other.join()
    used = (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / len(took)
    centiles = statistics.quantiles(took, n=100)
    return f"p50 {centiles[49] * 1e6:.0f} us, p99 {centiles[98] * 1e6:.0f} us, {used * 1e6:.0f} us of CPU"


def remove(backend: RedisBackend) -> None:
    with backend.server.borrowed() as link:
        cursor = b"0"
        while True:
            cursor, keys = link.call(b"SCAN", cursor, b"MATCH", f"{backend.keys.prefix}*", b"COUNT", 1000)
            if keys:
                link.call(b"UNLINK", *keys)
            if cursor == b"0":
                return


def main() -> None:
    parser = argparse.ArgumentParser(description="results in a Redis by themselves")
    parser.add_argument("--url", default="redis://127.0.0.1:6379/9")
    parser.add_argument("--count", type=int, default=20_000)
    options = parser.parse_args()
    prefix = f"bench-{secrets.token_hex(4)}:"
    backend = opened(options.url, prefix)
    try:
        for name, way in (("store", store), ("a plain pipeline", pipeline)):
            records = [record(f"{name}-{number}") for number in range(options.count)]
            print(f"{name}, {BATCH} a batch: {options.count / seconds(partial(way, backend, records)):,.0f} a second")
        ids = [f"store-{number}" for number in range(min(COLLECTED, options.count))]
        print(f"collecting {len(ids):,}: {seconds(lambda: list(backend.watch(ids, 60))) * 1000:.0f} ms")
        for threads in (1, 4, 20):
            print(f"round trip, {threads} waiting: {round_trips(options.url, prefix, threads, behind=False)}")
        print(f"round trip, 1 waiting behind a reader: {round_trips(options.url, prefix, 1, behind=True)}")
    finally:
        remove(backend)


if __name__ == "__main__":
    main()
