"""Forks: the child opens a connection of its own, and takes nothing away from its parent.

Each test forks in a process of its own, away from the threads of the test runner.
"""

from pathlib import Path

import pytest

from tests.unit.sqlite_processes import process

_FORK = """
def in_child(work):
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os._exit(0)
        except BaseException as error:
            print(repr(error), file=sys.stderr)
            os._exit(1)
    return pid
def ends(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
t = open_transport(url, {})
"""


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'tasks.sqlite3'}"


def said(url: str, script: str) -> list[str]:
    with process(url, _FORK + script) as forking:
        return forking.hears()


def test_parent_and_children_publish_over_connections_of_their_own(url):
    script = """
t.publish([call("before")])
children = [in_child(lambda: t.publish([call("child")])) for _ in range(4)]
for _ in range(50):
    t.publish([call("parent")])
say(*[ends(child) for child in children], t.queues(["q"])["q"].ready, *t.database.read("PRAGMA integrity_check")[0])
"""
    assert said(url, script) == ["0", "0", "0", "0", "55", "ok"]


def test_a_child_that_never_uses_the_database_does_not_keep_its_parents_lease_alive(url):
    script = """
consumer = t.consume(["q"])
t.publish([call("a")])
consumer.receive(1, 0)
child = in_child(lambda: signal.pause())
say(child)
stay()
"""
    with process(url, _FORK + script) as parent:
        (child,) = parent.hears()
        parent.kill()
        with process(url, "say(open_transport(url, {}).consume(['q']).recover().returned)") as other:
            assert other.hears() == ["1"]
        with process(url, f"os.kill({child}, signal.SIGKILL)") as killer:
            assert killer.ends() == 0


def test_a_child_that_is_forked_inside_a_transaction_does_not_keep_the_gate(url):
    script = """
t.publish([call("a")])
with t.database.transaction() as tx:
    child = in_child(lambda: signal.pause())
from celery_rs.transports.sqlite.locks import Gate
gate = Gate(t.database.path)
say(gate.shut())
os.kill(child, signal.SIGKILL)
"""
    assert said(url, script) == ["True"]


def test_a_child_that_is_forked_while_a_thread_holds_the_turn_is_not_stuck(url):
    script = """
import threading
holds, done = threading.Event(), threading.Event()
def hold():
    with t.database.transaction():
        holds.set()
        done.wait(10)
thread = threading.Thread(target=hold)
thread.start()
holds.wait(10)
child = in_child(lambda: t.queues())
status = ends(child)
done.set()
thread.join()
say(status)
"""
    assert said(url, script) == ["0"]


def test_the_end_of_a_child_leaves_the_parents_socket_where_it_is(url):
    script = """
consumer = t.consume(["q"])
child = in_child(lambda: t.queues())
status = ends(child)
from threading import Timer
Timer(0.1, lambda: t.publish([call("a")])).start()
say(status, len(consumer.receive(1, 10).deliveries))
"""
    assert said(url, script) == ["0", "1"]
