"""Real processes on one file: killed, stopped, and all at once."""

import os
import signal
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from celery_rs.transports import Completion, Consumer
from tests.conformance.calls import call, ids
from tests.conformance.worlds import SqliteWorld
from tests.deadlines import DEADLINE_S

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


@pytest.fixture
def world(tmp_path) -> Iterator[SqliteWorld]:
    world = SqliteWorld(tmp_path)
    yield world
    world.close()


class Child(NamedTuple):
    pid: int
    report: int

    def wait(self) -> None:
        """Until it has done what it was to do."""
        assert os.read(self.report, 4) == b"done"
        os.close(self.report)


@pytest.fixture
def fork(world) -> Iterator[Callable[[Callable[[Consumer], object]], Child]]:
    """Start a process that consumes, does something with its consumer, and then waits to be killed."""
    children = []

    def fork(act: Callable[[Consumer], object]) -> Child:
        report, tell = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                act(SqliteWorld(world.path.parent).consume("q"))
                os.write(tell, b"done")
                signal.pause()
            finally:
                os._exit(1)
        os.close(tell)
        children.append(pid)
        return Child(pid, report)

    yield fork
    for pid in children:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def take_and_begin(consumer: Consumer) -> None:
    held, late, early = (delivery.tag for delivery in consumer.receive(3, DEADLINE_S).deliveries)
    assert held
    consumer.begin([late], late=True)
    consumer.begin([early])


def test_what_a_killed_process_held_is_recovered_at_once(world, fork):
    world.transport().publish([call("held"), call("late"), call("early")])
    child = fork(take_and_begin)
    child.wait()
    consumer = world.consume("q")
    assert consumer.recover().returned == 0, "it lives"

    os.kill(child.pid, signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    recovered = consumer.recover()

    assert recovered.returned == 2
    assert ids(recovered.orphans) == ["early"]
    deliveries = consumer.receive(10, 0).deliveries
    assert [(delivery.envelope.id, delivery.crashes) for delivery in deliveries] == [("held", 0), ("late", 1)]


def test_a_stopped_process_keeps_what_it_holds(world, fork):
    world.transport().publish([call("held"), call("late"), call("early")])
    child = fork(take_and_begin)
    child.wait()
    consumer = world.consume("q")

    os.kill(child.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, child.pid, os.WSTOPPED)
    world.pass_time(3600)
    recovered = consumer.recover()

    assert (recovered.returned, list(recovered.orphans)) == (0, [])
    assert not consumer.receive(10, 0).deliveries


def test_processes_share_out_every_message_once(world, fork):
    world.transport().publish([call(f"m{number}") for number in range(300)])

    def finish_all(consumer: Consumer) -> None:
        while deliveries := consumer.receive(7, 0).deliveries:
            ends = [
                Completion(delivery.tag, followups=[call(f"by-{os.getpid()}-{id}", "done", once=id)])
                for delivery, id in zip(deliveries, ids(deliveries), strict=True)
            ]
            assert set(consumer.finish(ends)) == {"committed"}

    for child in [fork(finish_all) for _ in range(3)]:
        child.wait()

    finished = ids(world.consume("done").receive(1000, 0).deliveries)
    assert sorted(id.rpartition("-")[2] for id in finished) == sorted(f"m{number}" for number in range(300))
    assert world.transport().queues(["q"])["q"].held == 0
