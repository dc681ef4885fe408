"""One suite per interface, run against every implementation in `WORLDS` and `STORES`."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from celery_rs.backends import ResultBackend
from celery_rs.transports import Completion, Consumer, Delivery, Transport
from tests.conformance.calls import call
from tests.conformance.promises import PROMISES
from tests.conformance.stores import STORES
from tests.conformance.worlds import WORLDS, World

ALL: dict[str, type[Any]] = {**WORLDS, **STORES}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """With each world that keeps what the test `needs`. Who asks for `backend` needs a store, all else a broker."""
    if "world" not in metafunc.fixturenames:
        return
    needed = {promise for mark in metafunc.definition.iter_markers("needs") for promise in mark.args}
    if "backend" in metafunc.fixturenames:
        needed.add("store")
    if "transport" in metafunc.fixturenames or "consumer" in metafunc.fixturenames or "store" not in needed:
        needed.add("broker")
    assert needed <= set(PROMISES), f"a test may need {PROMISES}, got {needed}"
    metafunc.parametrize(
        "world", [name for name, world in ALL.items() if not needed & world.lacks.keys()], indirect=True
    )


@pytest.fixture
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    world: World = ALL[request.param](tmp_path)
    yield world
    world.close()


@pytest.fixture
def transport(world: World) -> Transport:
    return world.transport()


@pytest.fixture
def backend(world: World) -> ResultBackend:
    return world.backend()


@pytest.fixture
def consumer(world: World) -> Consumer:
    """Of the queue `q`."""
    return world.consume("q")


@pytest.fixture
def other(world: World) -> Consumer:
    """A second consumer of `q`, in another process."""
    return world.consume("q")


@pytest.fixture
def send(transport: Transport) -> Callable[..., None]:
    """Publish a plain message to `q` for each id."""

    def send(*ids: str, **options: Any) -> None:
        transport.publish([call(id, **options) for id in ids])

    return send


@pytest.fixture
def send_later(world: World, send: Callable[..., None]) -> Callable[..., None]:
    """Have messages of `q` wait at the broker: a client's, or where it keeps none of those, a worker's."""

    def send_later(*ids: str, not_before: float, queue: str = "q", **options: Any) -> None:
        if world.delays_calls:
            send(*ids, queue=queue, not_before=not_before, **options)
            return
        send("sender", queue="senders")
        worker = world.consume("senders")
        (delivery,) = worker.receive(1, 0).deliveries
        followups = [call(id, queue, not_before=not_before, **options) for id in ids]
        worker.finish([Completion(delivery.tag, followups=followups)])

    return send_later


@pytest.fixture
def take(consumer: Consumer, send: Callable[..., None]) -> Callable[..., Delivery]:
    """Publish a message to `q` and have `consumer` hold it."""

    def take(id: str, **options: Any) -> Delivery:
        send(id, **options)
        (delivery,) = consumer.receive(1, 0).deliveries
        return delivery

    return take
