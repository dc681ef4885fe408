"""Programs that publish to a Redis from many threads, or fork after they have published: no connection is shared."""

import subprocess
import sys
import textwrap
import threading
from collections import Counter
from pathlib import Path

from tests.deadlines import DEADLINE_S
from tests.recovery.redis_fleet import LATE, Fleet
from tests.redis_server import OwnRedis

PROGRAM = """
import os, signal, sys
from celery_rs import Celery

app = Celery("program", broker=sys.argv[1], backend=sys.argv[1])
add = app.task(name="add")(lambda x: x)
"""


def program(redis: OwnRedis, text: str) -> list[str]:
    """What such a program prints; it must end well."""
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM + textwrap.dedent(text), redis.url],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout.split()


def published(redis: OwnRedis) -> int:
    return int(redis.call("LLEN", "celery"))


def test_eight_threads_publish_over_one_app(tmp_path: Path, own_redis: OwnRedis) -> None:
    ids: list[str] = []
    with Fleet(tmp_path, own_redis) as fleet:
        threads = [threading.Thread(target=lambda: ids.extend(fleet.send_many(LATE, 500))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len(set(ids)) == 4_000
        assert published(own_redis) == 4_000
        assert set(fleet.app.transport.locate(ids)) == set(ids)


def test_threads_ask_for_results_over_one_app(tmp_path: Path, own_redis: OwnRedis) -> None:
    got: list[object] = []
    with Fleet(tmp_path, own_redis) as fleet, fleet.worker("one", "-c", "2"):

        def ask() -> None:
            got.extend(fleet.send(LATE, 0.0).get(timeout=DEADLINE_S) for _ in range(20))

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert got == [None] * 160


def test_a_forked_child_and_its_parent_publish_over_connections_of_their_own(own_redis: OwnRedis) -> None:
    said = program(
        own_redis,
        """
        def told():
            for _ in range(50):
                add.delay(1)
            with app.transport.server.borrowed() as link:
                print(link.call(b"CLIENT", b"ID"), flush=True)

        add.delay(1)
        told()
        child = os.fork()
        if child == 0:
            told()
            os._exit(0)
        told()
        assert os.waitpid(child, 0)[1] == 0
        told()
        """,
    )

    assert published(own_redis) == 201
    # The parent keeps its connection, three times told; the child has another.
    assert sorted(Counter(said).values()) == [1, 3]


def test_children_that_fork_while_threads_publish_publish_too(own_redis: OwnRedis) -> None:
    program(
        own_redis,
        """
        import threading

        stop = threading.Event()
        counts = []

        def work():
            count = 0
            while not stop.is_set():
                add.delay(1)
                count += 1
            counts.append(count)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        children = []
        for _ in range(10):
            add.delay(1)
            child = os.fork()
            if child == 0:
                for _ in range(20):
                    add.delay(1)
                os._exit(0)
            children.append(child)
        codes = [os.waitpid(child, 0)[1] for child in children]
        stop.set()
        for thread in threads:
            thread.join()
        assert codes == [0] * 10, codes
        app.send_task("count", (sum(counts) + 10 + 200 + 1,), queue="told")
        """,
    )
    (told,) = own_redis.call("LRANGE", "told", 0, -1)

    assert f'"argsrepr": "({published(own_redis) + 1},)"'.encode() in told


def test_a_preforking_server_serves_by_children_of_a_parent_that_has_published(own_redis: OwnRedis) -> None:
    said = program(
        own_redis,
        """
        def connection():
            with app.transport.server.borrowed() as link:
                return str(link.call(b"CLIENT", b"ID"))

        add.delay(0)  # the master, before it forks
        assert app.AsyncResult("any").state == "PENDING"
        children = []
        for _ in range(4):
            reader, writer = os.pipe()
            if (child := os.fork()) == 0:
                for request in range(25):
                    assert add.delay(request).state == "PENDING"
                os.write(writer, connection().encode())
                signal.pause()
            children.append((child, reader))
        served = [os.read(reader, 20).decode() for _, reader in children]
        add.delay(0)
        print(*served, connection())
        with app.transport.server.borrowed() as link:
            living = link.call(b"CLIENT", b"LIST").decode().split()
        print(*[word[3:] for word in living if word.startswith("id=")])
        for child, _ in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        """,
    )

    using, living = said[:5], said[5:]
    assert published(own_redis) == 102
    assert len(set(using)) == 5
    assert set(using) < set(living)
    assert len(living) == 10  # each process has one for calls and one for results
