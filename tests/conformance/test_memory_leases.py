"""Leases by clock, as the memory broker has them: what a pause, a jump and a single missed sweep may and may not do."""

import threading

import pytest

from celery_rs.transports import Completion, Consumer, Tag
from celery_rs.transports.faults import Clock, Faults
from celery_rs.transports.memory import MemoryTransport
from celery_rs.wire import TaskResult
from tests.conformance.calls import call, ids
from tests.conformance.worlds import MemoryWorld
from tests.deadlines import DEADLINE_S


@pytest.fixture
def memory(tmp_path):
    return MemoryWorld(tmp_path)


@pytest.fixture
def consumer(memory):
    return memory.consume("q")


@pytest.fixture
def other(memory):
    return memory.consume("q")


@pytest.fixture
def pause(memory):
    """Pause a consumer past its lease, until somebody else has what it held."""

    def pause(consumer, finder):
        memory.kill(consumer)  # as seen from outside there is no difference
        return memory.recover(finder)

    return pause


def take(memory: MemoryWorld, consumer: Consumer, id: str = "a") -> Tag:
    memory.transport().publish([call(id)])
    (delivery,) = consumer.receive(1, 0).deliveries
    return delivery.tag


def test_a_paused_holder_cannot_commit(memory, consumer, other, pause):
    tag = take(memory, consumer)
    pause(consumer, other)
    (again,) = other.receive(10, 0).deliveries

    record = TaskResult("a", "SUCCESS", 0, b"stale")
    assert list(consumer.finish([Completion(tag, followups=[call("b")], record=record)])) == ["lost"]

    assert memory.transport().find("b") is None
    assert memory.backend().fetch(["a"]) == {}
    assert list(other.finish([Completion(again.tag)])) == ["committed"]


def test_a_paused_holder_is_told_once_what_it_lost(memory, consumer, other, pause):
    tag = take(memory, consumer)
    pause(consumer, other)

    assert list(consumer.renew()) == [tag]

    assert list(consumer.renew()) == []
    assert not consumer.receive(0, 0).lost


def test_receive_tells_what_was_lost_too(memory, consumer, other, pause):
    tag = take(memory, consumer)
    pause(consumer, other)

    assert list(consumer.receive(0, DEADLINE_S).lost) == [tag]


def test_a_paused_holder_may_go_on_with_other_messages(memory, consumer, other, pause):
    take(memory, consumer)
    pause(consumer, other)
    other.receive(10, 0)

    tag = take(memory, consumer, "b")

    assert list(consumer.finish([Completion(tag)])) == ["committed"]


def test_who_returns_from_a_pause_can_be_recovered_again(memory, consumer, other, pause):
    take(memory, consumer)
    pause(consumer, other)
    other.receive(10, 0)
    take(memory, consumer, "b")

    assert memory.recover(other).returned == 1


def test_a_pause_that_nobody_noticed_costs_nothing(memory, consumer):
    tag = take(memory, consumer)

    memory.clock.jump(10 * memory.broker.lease_s)

    assert list(consumer.renew()) == []
    assert list(consumer.finish([Completion(tag)])) == ["committed"]


def test_one_missed_sweep_is_no_death(memory, consumer, other):
    tag = take(memory, consumer)
    memory.clock.jump(10 * memory.broker.lease_s)

    assert other.recover().returned == 0
    assert other.recover().returned == 0, "two sweeps at one moment are one"

    assert list(consumer.holds([tag])) == [tag]


def test_a_renewal_between_two_sweeps_saves_the_lease(memory, consumer, other):
    tag = take(memory, consumer)
    memory.clock.jump(10 * memory.broker.lease_s)
    other.recover()

    consumer.renew()
    memory.clock.jump(memory.broker.lease_s * 0.75)

    assert other.recover().returned == 0
    assert list(consumer.finish([Completion(tag)])) == ["committed"]


def test_two_missed_sweeps_are_a_death(memory, consumer, other):
    take(memory, consumer)
    memory.clock.jump(memory.broker.lease_s)
    other.recover()
    memory.clock.jump(memory.broker.lease_s / 2)

    assert other.recover().returned == 1


def test_a_clock_that_goes_back_kills_nobody(memory, consumer, other):
    tag = take(memory, consumer)
    memory.clock.jump(-3600)

    for _ in range(3):
        assert other.recover().returned == 0
        memory.clock.jump(memory.broker.lease_s / 2)

    assert list(consumer.holds([tag])) == [tag]


def test_the_calls_of_a_paused_process_hang_until_it_resumes(memory):
    faults = Faults()
    consumer = memory.consume("q", faults=faults)
    memory.transport().publish([call("a")])
    received = []
    faults.pause()
    thread = threading.Thread(target=lambda: received.append(consumer.receive(1, 0)), daemon=True)
    thread.start()
    thread.join(0.05)
    assert not received

    faults.resume()

    thread.join(DEADLINE_S)
    assert ids(received[0].deliveries) == ["a"]


def test_transports_of_one_name_share_a_broker_and_others_do_not(memory, consumer):
    clock = Clock()
    MemoryTransport(f"{memory.name}-other", clock=clock).publish([call("elsewhere")])
    MemoryTransport(memory.name).publish([call("here")])

    assert ids(consumer.receive(10, 0).deliveries) == ["here"]
