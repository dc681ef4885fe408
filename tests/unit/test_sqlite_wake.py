"""Wake-ups: a datagram brings a message at once, and nothing depends on it."""

import resource
import threading
import time
from pathlib import Path

import pytest

from celery_rs.transports.sqlite import NET_S, Database, SqliteTransport
from celery_rs.transports.sqlite.wake import Doors, Ring
from celery_rs.wire import Exchange
from tests.conformance.calls import call, ids
from tests.deadlines import DEADLINE_S
from tests.unit.sqlite_processes import process

NEWS = Exchange("news", "topic")
NO_NET_S = NET_S / 2
"""Less than the net takes, so that only a datagram can have done it; the median of several is compared with it."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tasks.sqlite3"


@pytest.fixture
def transport(path):
    transport = SqliteTransport(Database(path))
    transport.queues()
    yield transport
    transport.close()


def idle_consumers(transport: SqliteTransport) -> int:
    return len(transport.database.read("SELECT 1 FROM consumers WHERE idle = 1"))


def wait_until_idle(transport: SqliteTransport, count: int = 1) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while idle_consumers(transport) < count:
        assert time.monotonic() < deadline, "nobody goes to wait"
        time.sleep(0.001)


WAITER = """
consumer = open_transport(url, {}).consume(["q"])
say("ready")
while True:
    received = consumer.receive(1, 20)
    say(time.monotonic(), len(received.deliveries), received.facts)
    consumer.finish([Completion(delivery.tag) for delivery in received.deliveries])
"""

ONCE = """
consumer = open_transport(url, {}).consume(["q"])
say(len(consumer.receive(1, 20).deliveries))
"""


def test_a_waiting_worker_is_woken_by_a_publish(path, transport):
    delays = []
    with process(f"sqlite:///{path}", WAITER) as waiter:
        waiter.hears()
        for number in range(5):
            wait_until_idle(transport)
            started = time.monotonic()
            transport.publish([call(str(number))])
            at, count, _ = waiter.hears()
            assert count == "1"
            delays.append(float(at) - started)

    assert sorted(delays)[2] < NO_NET_S


def test_a_waiting_worker_is_woken_by_a_fact(path, transport):
    with process(f"sqlite:///{path}", WAITER) as waiter:
        waiter.hears()
        wait_until_idle(transport)

        transport.facts.put("pause", "q", b"{}")

        _, count, facts = waiter.hears()
        assert (count, facts) == ("0", "1")


def test_each_message_wakes_a_worker_of_its_own(path, transport):
    with process(f"sqlite:///{path}", ONCE) as one, process(f"sqlite:///{path}", ONCE) as two:
        wait_until_idle(transport, 2)

        transport.publish([call("a")])
        transport.publish([call("b")])

        assert one.hears() == two.hears() == ["1"]


def test_a_batch_wakes_as_many_workers_as_it_has_messages(path, transport):
    with process(f"sqlite:///{path}", ONCE) as one, process(f"sqlite:///{path}", ONCE) as two:
        wait_until_idle(transport, 2)

        transport.publish([call("a"), call("b")])

        assert one.hears() == two.hears() == ["1"]


def test_when_the_chosen_worker_is_dead_the_next_is_woken(path, transport):
    with process(f"sqlite:///{path}", WAITER) as dead, process(f"sqlite:///{path}", WAITER) as alive:
        dead.hears()
        wait_until_idle(transport, 1)
        alive.hears()
        wait_until_idle(transport, 2)
        dead.kill()

        transport.publish([call("a")])

        assert alive.hears()[1] == "1"


def test_a_worker_without_its_socket_still_finds_the_message(path, transport):
    with process(f"sqlite:///{path}", WAITER) as waiter:
        waiter.hears()
        wait_until_idle(transport)
        for door in Path(f"{path}.d").glob("*.sock"):
            door.unlink()

        transport.publish([call("a")])

        assert waiter.hears()[1] == "1"


def test_a_waiting_worker_learns_of_a_delayed_message_and_rises_when_it_is_due(path, transport):
    with process(f"sqlite:///{path}", WAITER) as waiter:
        waiter.hears()
        wait_until_idle(transport)

        due = time.time() + 0.3
        transport.publish([call("a", not_before=due)])

        assert waiter.hears()[1] == "1"
        assert due <= time.time() < due + NO_NET_S


def test_what_a_worker_gives_back_wakes_another(path, transport):
    holder = transport.consume(["q"])
    transport.publish([call("a")])
    (delivery,) = holder.receive(1, 0).deliveries
    with process(f"sqlite:///{path}", WAITER) as waiter:
        waiter.hears()
        wait_until_idle(transport)

        holder.give_back([delivery.tag])

        assert waiter.hears()[1] == "1"
    holder.close()


def test_only_who_listens_to_the_queue_is_woken(transport):
    consumer = transport.consume(["elsewhere"])
    waiting = threading.Thread(target=consumer.receive, args=(1, 20))
    waiting.start()
    wait_until_idle(transport)

    transport.publish([call("a")])

    assert idle_consumers(transport) == 1
    consumer.wake()
    waiting.join()
    assert idle_consumers(transport) == 0
    consumer.close()


@pytest.mark.skipif(not hasattr(resource, "RUSAGE_THREAD"), reason="this system does not count a thread's pauses")
def test_who_waits_sleeps_from_net_to_net(transport):
    consumer = transport.consume(["q"])
    before = resource.getrusage(resource.RUSAGE_THREAD)

    consumer.receive(1, 4 * NET_S)

    after = resource.getrusage(resource.RUSAGE_THREAD)
    assert after.ru_nvcsw - before.ru_nvcsw < 4 * 5
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < NET_S
    consumer.close()


def test_a_path_too_long_for_a_socket_is_no_obstacle(tmp_path):
    directory = tmp_path / ("d" * 100)
    directory.mkdir()
    transport = SqliteTransport(Database(directory / "tasks.sqlite3"))
    consumer = transport.consume(["q"])
    waiting = threading.Timer(0.05, lambda: transport.publish([call("a")]))
    waiting.start()

    received = consumer.receive(1, DEADLINE_S)

    assert ids(received.deliveries) == ["a"]
    waiting.join()
    consumer.close()
    transport.close()


def test_a_publish_that_can_wake_nobody_has_been_published_all_the_same(transport, monkeypatch):
    consumer = transport.consume(["q"])
    waiting = threading.Thread(target=consumer.receive, args=(0, 0.0))
    waiting.start()
    waiting.join()
    with transport.database.transaction() as tx:
        tx.execute("UPDATE consumers SET idle = 1")
    monkeypatch.setattr(Doors, "send", lambda self, ring: False)

    transport.publish([call("a")])

    assert transport.queues(["q"])["q"].ready == 1
    consumer.close()


def test_a_full_socket_counts_as_awake(path, transport):
    bell = transport.database.bell("sleeper")
    doors = transport.database.doors()

    assert all(doors.send(Ring(bell.address, lambda tx: None)) for _ in range(2_000))

    bell.close()
    assert not doors.send(Ring(bell.address, lambda tx: None))


def test_a_subscription_whose_process_died_is_dropped_by_the_next_announcement(path, transport):
    script = "s = open_transport(url, {}).subscribe(Exchange('news'), '#'); say('hears'); stay()"
    with process(f"sqlite:///{path}", script) as dead:
        dead.hears()
        dead.kill()

    transport.announce(NEWS, "any", [b"x"])

    assert transport.database.read("SELECT count(*) FROM subscriptions") == [(0,)]
    transport.announce(NEWS, "any", [b"y"])
    assert transport.database.read("SELECT count(*) FROM broadcasts") == [(1,)]


def test_a_subscription_outlives_the_file_it_was_listed_in(path, transport):
    subscription = transport.subscribe(NEWS, "#")
    transport.announce(NEWS, "any", [b"in the old file"])
    subscription.receive(0)
    for file in path.parent.glob(f"{path.name}*"):
        if file.is_file():
            file.unlink()
    transport.database.read("SELECT 1")

    assert subscription.receive(0) == []  # it looks, and lists itself in the new file

    transport.announce(NEWS, "any", [b"in the new file"])
    assert subscription.receive(5) == [b"in the new file"]
    subscription.close()


def test_a_subscription_hears_another_process_at_once(path, transport):
    script = """
s = open_transport(url, {}).subscribe(Exchange('news'), 'sport.*')
say('hears')
while True:
    for envelope in s.receive(20):
        say(time.monotonic(), envelope.decode())
"""
    delays = []
    with process(f"sqlite:///{path}", script) as listener:
        listener.hears()
        for number in range(5):
            started = time.monotonic()
            transport.announce(NEWS, "weather", [b"not for it"])
            transport.announce(NEWS, "sport.chess", [str(number).encode()])
            at, heard = listener.hears()
            assert heard == str(number)
            delays.append(float(at) - started)

    assert sorted(delays)[2] < NO_NET_S
