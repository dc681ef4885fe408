"""Ending deliveries where broker and result store are two: step by step, in the order of the contract."""

from collections.abc import Sequence
from typing import Any

import pytest

from celery_rs.backends.memory import MemoryBackend
from celery_rs.errors import BackendError
from celery_rs.transports import Burial, Completion, Consumer, Delivery
from celery_rs.transports.memory import MemoryTransport
from celery_rs.wire import ChordPart, TaskResult
from celery_rs.worker import settle
from tests.conformance.calls import call

RECORD = TaskResult("id", "SUCCESS", 0, b"{}")
PART = ChordPart("group", "id", 0, "SUCCESS", b"4")


class Noted:
    """Passes everything on and notes the methods that are asked for."""

    def __init__(self, what: Any, steps: list[str]) -> None:
        self._what = what
        self._steps = steps

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._what, name)
        if callable(found):
            self._steps.append(name)
        return found


@pytest.fixture
def transport(request: pytest.FixtureRequest) -> MemoryTransport:
    return MemoryTransport(f"settle-{request.node.name}")


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> MemoryBackend:
    """Of another name than the broker: a store of its own."""
    return MemoryBackend(f"settle-elsewhere-{request.node.name}")


@pytest.fixture
def consumer(transport: MemoryTransport) -> Consumer:
    return transport.consume(["q"])


def held(transport: MemoryTransport, consumer: Consumer, *ids: str) -> Sequence[Delivery]:
    transport.publish([call(id) for id in ids])
    return consumer.receive(len(ids), 0).deliveries


def test_each_step_happens_in_the_order_of_the_contract(transport, backend, consumer):
    (delivery,) = held(transport, consumer, "id")
    completion = Completion(delivery.tag, followups=[call("next", "other")], record=RECORD, part=PART)
    steps: list[str] = []

    verdicts = settle.finish(
        [completion],
        transport=Noted(transport, steps),
        consumer=Noted(consumer, steps),
        backend=Noted(backend, steps),
    )

    assert list(verdicts) == ["committed"]
    assert steps == ["commits", "holds", "publish", "store", "claim_chords", "finish"]
    assert backend.fetch(["id"]) == {"id": RECORD}
    assert transport.find("next") is not None
    assert transport.find("id") is None


def test_a_followup_that_goes_nowhere_becomes_a_dead_letter_and_holds_up_nothing(transport, backend, consumer):
    first, second = held(transport, consumer, "first", "second")
    batch = [
        Completion(first.tag, followups=[call("stray", "x", exchange="gone"), call("good", "other")]),
        Completion(second.tag, record=TaskResult("second", "SUCCESS", 0, b"{}")),
    ]

    verdicts = settle.finish(batch, transport=transport, consumer=consumer, backend=backend)

    assert list(verdicts) == ["committed", "committed"]
    assert [(letter.task_id, letter.reason) for letter in transport.dead.page().letters] == [("stray", "unroutable")]
    assert transport.queues(["other"])["other"].ready == 1


def test_what_is_no_longer_held_leaves_no_trace(transport, backend, consumer):
    (delivery,) = held(transport, consumer, "id")
    consumer.give_back([delivery.tag])
    completion = Completion(delivery.tag, followups=[call("next", "other")], record=RECORD)

    verdicts = settle.finish([completion], transport=transport, consumer=consumer, backend=backend)

    assert list(verdicts) == ["lost"]
    assert backend.fetch(["id"]) == {}
    assert transport.find("next") is None


def test_the_message_stays_held_when_its_record_cannot_be_stored(transport, backend, consumer):
    def fail(records: Sequence[TaskResult]) -> Sequence[bool]:
        raise BackendError("the store is down")

    (delivery,) = held(transport, consumer, "id")
    followup = call("next", "other", once="id.0.0")
    completion = Completion(delivery.tag, followups=[followup], record=RECORD)
    store, backend.store = backend.store, fail
    with pytest.raises(BackendError):
        settle.finish([completion], transport=transport, consumer=consumer, backend=backend)
    backend.store = store
    still_held = list(consumer.holds([delivery.tag]))

    again = settle.finish([completion], transport=transport, consumer=consumer, backend=backend)

    assert still_held == [delivery.tag]
    assert list(again) == ["committed"]
    assert transport.queues(["other"])["other"].ready == 1


def test_the_caller_hears_of_a_burial_in_a_store_elsewhere(transport, backend, consumer):
    ours, lost = held(transport, consumer, "id", "lost")
    consumer.give_back([lost.tag])
    failure = TaskResult("id", "FAILURE", 0, b"{}")
    letters = {
        ours.tag: Burial("unknown-task", "no such task", failure),
        lost.tag: Burial("unknown-task", "no such task", TaskResult("lost", "FAILURE", 0, b"{}")),
    }

    settle.bury(letters, consumer=consumer, backend=backend)

    assert backend.fetch(["id", "lost"]) == {"id": failure}
    assert [letter.task_id for letter in transport.dead.page().letters] == ["id"]
