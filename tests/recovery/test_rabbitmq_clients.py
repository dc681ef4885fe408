"""Programs that publish to a RabbitMQ are killed, or fork: at most what was written and not confirmed is lost."""

import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from tests.deadlines import DEADLINE_S
from tests.proxy import proxy_before
from tests.rabbitmq_vhosts import Vhost
from tests.recovery.rabbitmq_fleet import ids_in

PROGRAM = """
import os, signal, sys
from celery_rs import Celery

app = Celery("program", broker=sys.argv[1])
add = app.task(name="add")(lambda x: x)

def sent():
    os.write(1, f"{add.delay(1).id}\\n".encode())  # in one piece, whoever else writes
"""


@contextmanager
def program(url: str, text: str) -> "Iterator[subprocess.Popen[str]]":
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM + textwrap.dedent(text), url], stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def lines(process: "subprocess.Popen[str]", count: int) -> list[str]:
    assert process.stdout is not None
    return [process.stdout.readline().strip() for _ in range(count)]


def test_what_was_confirmed_to_a_killed_client_is_there(some_rabbitmq: Vhost) -> None:
    confirmed = """
    app.conf.broker_transport_options = {"confirm_publish": True}
    while True:
        sent()
    """
    with program(some_rabbitmq.url, confirmed) as client:
        told = lines(client, 200)
        client.kill()
        assert client.stdout is not None
        told += client.stdout.read().split()

    there = Counter(ids_in(some_rabbitmq.url))
    assert set(there.values()) == {1}
    assert set(told) - set(there) == set()
    assert len(there) <= len(told) + 1


def test_a_client_that_is_killed_between_write_and_confirm_loses_at_most_what_was_not_confirmed(
    some_rabbitmq: Vhost,
) -> None:
    text = """
    for _ in range(100):
        sent()
    assert app.transport.flush(10) == 0
    print("confirmed", flush=True)
    sys.stdin.readline()
    for _ in range(100):
        sent()
    signal.pause()
    """
    with proxy_before(some_rabbitmq.url) as proxy:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM + textwrap.dedent(text), proxy.url],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        confirmed = lines(process, 101)[:-1]
        proxy.stall()
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        written = lines(process, 100)  # `delay` returns once the kernel has it
        process.kill()
        process.communicate()
        process.stdin.close()

    assert Counter(ids_in(some_rabbitmq.url)) == Counter(confirmed)
    assert len(set(written)) == 100


def test_a_client_that_ends_waits_for_its_confirms(some_rabbitmq: Vhost) -> None:
    text = """
    for _ in range(500):
        sent()
    """
    with program(some_rabbitmq.url, text) as client:
        told = lines(client, 500)
        assert client.wait(DEADLINE_S) == 0

    assert Counter(ids_in(some_rabbitmq.url)) == Counter(told)


def test_a_forked_child_and_its_parent_publish_over_connections_of_their_own(some_rabbitmq: Vhost) -> None:
    text = """
    sent()
    child = os.fork()
    for _ in range(50):
        sent()
    if child == 0:
        assert app.transport.flush(10) == 0
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    for _ in range(50):
        sent()
    """
    with program(some_rabbitmq.url, text) as client:
        told = lines(client, 151)
        assert client.wait(DEADLINE_S) == 0

    assert Counter(ids_in(some_rabbitmq.url)) == Counter(told)


def test_eight_threads_publish_over_one_app(some_rabbitmq: Vhost) -> None:
    text = """
    import threading

    threads = [threading.Thread(target=lambda: [add.delay(1) for _ in range(250)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    """
    with program(some_rabbitmq.url, text) as client:
        assert client.wait(DEADLINE_S) == 0

    assert set(Counter(ids_in(some_rabbitmq.url)).values()) == {1}
