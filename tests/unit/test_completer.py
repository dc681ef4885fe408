"""The completer: writes for the loop, until they work or the worker gives up."""

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from celery_rs.backends.memory import MemoryBackend
from celery_rs.errors import BackendError, OperationalError
from celery_rs.transports import Completion, Consumer, Tag, Verdict
from celery_rs.transports.memory import MemoryTransport
from celery_rs.wire import TaskResult
from celery_rs.worker import settle
from celery_rs.worker.completer import Begin, Completer, GiveBack, Progress
from celery_rs.worker.inbox import Event, Inbox, Settled
from tests.conformance.calls import call
from tests.deadlines import DEADLINE_S, eventually


class World:
    """A completer between an inbox and a broker whose result store is beside it."""

    def __init__(self, name: str) -> None:
        self.transport = MemoryTransport(name)
        self.backend = MemoryBackend(name)
        self.consumer: Consumer = self.transport.consume(["q"])
        self.inbox = Inbox()
        self.completer = Completer(self.transport, self.consumer, self.backend, self.inbox)

    def held(self, *ids: str) -> list[Tag]:
        self.transport.publish([call(id) for id in ids])
        return [delivery.tag for delivery in self.consumer.receive(len(ids), 0).deliveries]

    def settled(self) -> Settled:
        """The next report to the loop."""
        events: list[Event] = []

        def has_come() -> bool:
            events.extend(self.inbox.take())
            return bool(events)

        eventually(has_come)
        (event,) = events
        assert isinstance(event, Settled)
        return event


@pytest.fixture
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    world = World(f"completer-{request.node.name}")
    yield world
    world.completer.stop(DEADLINE_S)
    world.inbox.close()


def failing(times: int, step: Callable[..., Any], error: Exception) -> tuple[Callable[..., Any], threading.Event]:
    """`step` that fails so often first, and an event for its first failure."""
    left = [times]
    failed = threading.Event()

    def tried(*args: Any, **kwargs: Any) -> Any:
        if left[0]:
            left[0] -= 1
            failed.set()
            raise error
        return step(*args, **kwargs)

    return tried, failed


def record(id: str, state: str = "SUCCESS") -> TaskResult:
    return TaskResult(id, state, 0, b"{}")


def test_a_completion_is_written_and_reported(world: World) -> None:
    (tag,) = world.held("a")
    world.completer.start()

    world.completer.order(Completion(tag, record=record("a")))

    assert world.settled() == Settled([tag], [], awaited=True)
    assert world.backend.fetch(["a"])["a"].state == "SUCCESS"


def test_what_gathered_is_one_write_and_what_was_lost_is_named(world: World) -> None:
    mine, lost = world.held("a", "b")
    world.consumer.give_back([lost])
    world.completer.order(Begin([mine], late=False), Completion(mine), Completion(lost))

    world.completer.start()

    assert world.settled() == Settled([mine, lost], [lost], awaited=False)


@pytest.mark.parametrize(
    ("parts", "verdict", "awaited"),
    [
        pytest.param({"record": record("a")}, "committed", True, id="somebody may wait for its result"),
        pytest.param({"record": record("a")}, "unheard", False, id="nobody listened"),
        pytest.param({}, "committed", False, id="it has no result"),
        pytest.param({"followups": [call("next")]}, "committed", True, id="the next one of a chain waits"),
        pytest.param({"record": record("a")}, "lost", False, id="nothing came of it"),
    ],
)
def test_the_loop_is_told_whether_anybody_may_wait(
    world: World, monkeypatch: pytest.MonkeyPatch, parts: dict[str, Any], verdict: Verdict, awaited: bool
) -> None:
    (tag,) = world.held("a")
    monkeypatch.setattr(settle, "finish", lambda batch, **_: [verdict] * len(batch))
    world.completer.start()

    world.completer.order(Completion(tag, **parts))

    assert world.settled().awaited is awaited


def test_a_write_that_fails_is_repeated_until_it_works(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    (tag,) = world.held("a")
    finish, failed = failing(2, world.consumer.finish, OperationalError("the disk is full"))
    monkeypatch.setattr(world.consumer, "finish", finish)
    world.completer.start()

    world.completer.order(Completion(tag, record=record("a")))

    assert failed.wait(DEADLINE_S)
    assert world.settled() == Settled([tag], [], awaited=True)


def test_a_store_that_fails_is_asked_again_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    store, _ = failing(1, world.backend.store, BackendError("the store is down"))
    monkeypatch.setattr(world.backend, "store", store)
    world.completer.start()

    world.completer.order(Progress(record("a", "PROGRESS")))

    eventually(lambda: world.backend.fetch(["a"]))


def test_a_worker_that_stops_gives_up_in_the_end_and_the_broker_still_holds_the_message(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tag,) = world.held("a")
    finish, failed = failing(10**9, world.consumer.finish, OperationalError("the disk is full"))
    monkeypatch.setattr(world.consumer, "finish", finish)
    world.completer.start()
    world.completer.order(Completion(tag, record=record("a")))
    assert failed.wait(DEADLINE_S)

    world.completer.stop(0.05)

    assert list(world.consumer.holds([tag])) == [tag]


def test_a_worker_that_has_given_up_tries_no_further_write(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    finished, given_back = world.held("a", "b")
    finish, failed = failing(10**9, world.consumer.finish, OperationalError("the disk is full"))
    monkeypatch.setattr(world.consumer, "finish", finish)
    world.completer.order(Completion(finished), GiveBack([given_back]))
    world.completer.start()
    assert failed.wait(DEADLINE_S)

    world.completer.stop(0.05)

    assert list(world.consumer.holds([given_back])) == [given_back]


def test_stopping_carries_out_what_was_ordered(world: World) -> None:
    tags: Sequence[Tag] = world.held("a", "b")
    world.completer.order(GiveBack(tags))
    world.completer.start()

    world.completer.stop(DEADLINE_S)

    assert world.transport.queues(["q"])["q"].ready == 2
