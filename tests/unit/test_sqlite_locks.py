"""Who waits for whom in the embedded broker, for how long, and what he is told."""

import os
import sqlite3
import threading
from pathlib import Path

import pytest

from celery_rs.errors import OperationalError
from celery_rs.transports import open_transport
from celery_rs.transports.sqlite import Database, SqliteTransport, log
from celery_rs.transports.sqlite.locks import Gate
from tests.conformance.calls import call
from tests.deadlines import DEADLINE_S
from tests.unit.sqlite_processes import process


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tasks.sqlite3"


@pytest.fixture
def transport(path):
    transport = SqliteTransport(Database(path))
    transport.publish([call("first")])
    yield transport
    transport.close()


def test_the_deadline_of_a_publish_names_the_process_that_holds_the_lock(path, transport):
    script = """
t = open_transport(url, {})
with t.database.transaction():
    say("holds")
    stay()
"""
    with process(f"sqlite:///{path}", script) as holder:
        assert holder.hears() == ["holds"]

        with pytest.raises(OperationalError) as caught:
            transport.publish([call("late")], deadline=0.05)

    assert str(caught.value) == (
        f"database {str(path)!r} is locked: expected the write lock within 0.05 s, process {holder.pid} holds it; "
        "let it go on, or stop it"
    )


def test_a_short_lock_timeout_holds_for_a_publish_too(path):
    transport = open_transport(f"sqlite:///{path}?lock_timeout=0.05", {})
    script = "t = open_transport(url, {})\nwith t.database.transaction():\n    say('holds')\n    stay()"
    with process(f"sqlite:///{path}", script) as holder:
        assert holder.hears() == ["holds"]

        with pytest.raises(OperationalError, match=r"expected the write lock within 0\.05 s"):
            transport.publish([call("late")], deadline=60)
    transport.close()


def test_the_deadline_names_a_foreign_program_too(path, transport):
    script = """
import sqlite3
foreign = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
foreign.execute("BEGIN EXCLUSIVE")
say("holds")
stay()
"""
    with process(f"sqlite:///{path}", script) as holder:
        assert holder.hears() == ["holds"]

        with pytest.raises(OperationalError, match=f"process {holder.pid} holds it"):
            transport.publish([call("late")], deadline=0.05)


def test_the_deadline_names_a_stopped_checkpoint(path, transport):
    script = """
from pathlib import Path
from celery_rs.transports.sqlite.locks import Gate
gate = Gate(Path(url.removeprefix("sqlite:///")))
assert gate.shut()
say("holds")
stay()
"""
    with process(f"sqlite:///{path}", script) as holder:
        assert holder.hears() == ["holds"]

        with pytest.raises(OperationalError, match=f"process {holder.pid} holds it"):
            transport.publish([call("late")], deadline=0.05)


def test_a_thread_that_holds_the_lock_is_told_from_a_process(transport):
    holds, done = threading.Event(), threading.Event()

    def hold() -> None:
        with transport.database.transaction():
            holds.set()
            done.wait(DEADLINE_S)

    thread = threading.Thread(target=hold)
    thread.start()
    assert holds.wait(DEADLINE_S)
    try:
        with pytest.raises(OperationalError, match=f"another thread of this process \\({os.getpid()}\\) holds it"):
            transport.publish([call("late")], deadline=0.05)
    finally:
        done.set()
        thread.join()


def test_a_publish_waits_for_a_writer_that_goes_on(path, transport):
    script = """
t = open_transport(url, {})
with t.database.transaction():
    say("holds")
    sys.stdin.readline()
"""
    with process(f"sqlite:///{path}", script) as holder:
        assert holder.hears() == ["holds"]
        timer = threading.Timer(0.05, holder.tell)
        timer.start()

        transport.publish([call("late")], deadline=10)
        timer.join()

    assert transport.queues(["q"])["q"].ready == 2


def test_a_lock_ends_with_its_process(path, transport):
    script = """
t = open_transport(url, {})
with t.database.transaction() as tx:
    tx.execute("DELETE FROM messages")
    say("holds")
    stay()
"""
    with process(f"sqlite:///{path}", script) as holder:
        assert holder.hears() == ["holds"]
        holder.kill()

        transport.publish([call("next")], deadline=5)

    assert transport.queues(["q"])["q"].ready == 2


def test_readers_wait_for_nobody(path, transport):
    writer = Database(path)
    with writer.transaction() as tx:
        tx.execute("DELETE FROM messages")

        assert transport.queues(["q"])["q"].ready == 1
    writer.close()


def test_a_checkpoint_starts_the_log_anew(path, transport):
    for number in range(20):
        transport.publish([call(str(number))])
    assert log.is_longer_than(10, path)

    assert transport.database.checkpoint(beyond=10)

    transport.publish([call("after")])
    assert not log.is_longer_than(10, path)


def test_a_short_log_is_left_alone(path, transport):
    assert not log.is_longer_than(1000, path)
    assert not transport.database.checkpoint(beyond=1000)


def test_a_checkpoint_never_meets_a_writer(path, transport):
    writer = Database(path)
    with writer.transaction() as tx:
        tx.execute("DELETE FROM messages")

        assert not transport.database.checkpoint(beyond=0)
    writer.close()


def test_a_writer_waits_outside_while_somebody_checkpoints(path, transport):
    gate = Gate(path)
    assert gate.shut()

    with pytest.raises(OperationalError, match=f"\\({os.getpid()}\\) holds it"):
        transport.publish([call("late")], deadline=0.02)

    gate.leave()
    transport.publish([call("in time")], deadline=5)
    gate.forget()


def test_a_writer_that_waits_for_another_does_not_keep_a_checkpoint_out(path, transport):
    foreign = sqlite3.connect(path, isolation_level=None)
    foreign.execute("BEGIN IMMEDIATE")  # it knows nothing of our gate
    waiting = threading.Thread(target=lambda: transport.publish([call("late")], deadline=10))
    waiting.start()

    gate = Gate(path)
    for _ in range(100_000):
        if gate.shut():
            break
    else:
        pytest.fail("there was never a gap")

    gate.leave()
    gate.forget()
    foreign.execute("COMMIT")
    foreign.close()
    waiting.join()
    assert transport.queues(["q"])["q"].ready == 2


def test_a_publish_that_a_signal_tears_apart_does_not_stand_in_the_way_of_the_next(path, transport):
    """A soft time limit raises wherever the task happens to be: also in the middle of a publish."""
    script = """
import random
class SoftLimit(Exception): pass
def strike(*_): raise SoftLimit
signal.signal(signal.SIGALRM, strike)
t = open_transport(url, {})
t.publish([call("warm up")])
torn = 0
for number in range(400):
    try:
        signal.setitimer(signal.ITIMER_REAL, random.uniform(0.00001, 0.0002))
        while True:
            t.publish([call("torn")])
    except SoftLimit:
        torn += 1
    t.publish([call("after")], deadline=1)
from celery_rs.transports.sqlite.locks import Gate
say(torn, Gate(t.database.path).shut())
"""
    with process(f"sqlite:///{path}", script) as child:
        assert child.hears() == ["400", "True"]

    assert transport.database.read("SELECT count(*) FROM messages WHERE task_id = 'after'") == [(400,)]


def test_a_transaction_that_fails_changes_nothing_and_lets_go(transport):
    def fail() -> None:
        with transport.database.transaction() as tx:
            tx.execute("DELETE FROM messages")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()

    transport.publish([call("second")], deadline=1)
    assert transport.queues(["q"])["q"].ready == 2
