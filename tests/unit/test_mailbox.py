"""Asking workers and hearing them, over the memory broker."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from celery_rs.control import Control, ControlReply, ControlRequest, ask, tell
from celery_rs.transports import Transport
from celery_rs.transports.memory import MemoryTransport
from celery_rs.wire import Unreadable, open_request, seal_reply

PATIENT = 30.0
"""A timeout that never passes when the test does."""
BRIEF = 0.05


@pytest.fixture
def transport() -> Transport:
    return MemoryTransport(uuid4().hex)


class FakeWorker(threading.Thread):
    """Thread: answers every request that is meant for it; waits in its subscription until `stop`."""

    def __init__(self, transport: Transport, node: str, reply: Any, ticket: str | None = None) -> None:
        super().__init__(name=node, daemon=True)
        self.heard: list[ControlRequest] = []
        self._transport, self._node, self._reply, self._ticket = transport, node, reply, ticket
        self._stopping = threading.Event()
        self._subscription = transport.subscribe("celery.pidbox", "#")

    def run(self) -> None:
        while not self._stopping.is_set():
            for raw in self._subscription.receive(PATIENT):
                request = open_request(raw)
                assert not isinstance(request, Unreadable)
                if request.is_for(self._node):
                    self._answer(request)

    def _answer(self, request: ControlRequest) -> None:
        self.heard.append(request)
        if request.reply_to is not None:
            reply = ControlReply(self._node, self._reply, self._ticket or request.ticket or "")
            self._transport.announce(*request.reply_to, [b"garbage", seal_reply(reply, request.reply_to)])

    def stop(self) -> None:
        self._stopping.set()
        self._subscription.wake()
        self.join()


@contextmanager
def workers(transport: Transport, *nodes: str, **options: Any) -> Iterator[list[FakeWorker]]:
    team = [FakeWorker(transport, node, {"ok": f"pong of {node}"}, **options) for node in nodes]
    for worker in team:
        worker.start()
    try:
        yield team
    finally:
        for worker in team:
            worker.stop()


def test_asking_ends_at_once_when_every_destination_has_answered(transport: Transport) -> None:
    with workers(transport, "w1@h", "w2@h", "w3@h"):
        replies = ask(transport, ControlRequest("ping", {}, ("w1@h", "w3@h")), timeout=PATIENT)

    assert sorted(reply.node for reply in replies) == ["w1@h", "w3@h"]


def test_asking_ends_with_the_limit(transport: Transport) -> None:
    with workers(transport, "w1@h", "w2@h"):
        replies = ask(transport, ControlRequest("ping", {}), timeout=PATIENT, limit=1)

    assert len(replies) == 1


def test_silence_ends_the_asking(transport: Transport) -> None:
    assert ask(transport, ControlRequest("ping", {}), timeout=BRIEF) == []


def test_answers_to_another_question_are_not_ours(transport: Transport) -> None:
    with workers(transport, "w1@h", ticket="another"):
        assert ask(transport, ControlRequest("ping", {}), timeout=BRIEF) == []


def test_each_answer_is_heard_as_it_comes(transport: Transport) -> None:
    heard: list[str] = []

    with workers(transport, "w1@h"):
        ask(transport, ControlRequest("ping", {}, ("w1@h",)), timeout=PATIENT, heard=lambda one: heard.append(one.node))

    assert heard == ["w1@h"]


def test_a_request_that_nobody_waits_for_asks_for_no_reply(transport: Transport) -> None:
    subscription = transport.subscribe("celery.pidbox", "#")

    tell(transport, ControlRequest("ping", {}))

    (raw,) = subscription.receive(PATIENT)
    request = open_request(raw)
    assert isinstance(request, ControlRequest)
    assert (request.ticket, request.reply_to) == (None, None)


def app_on(transport: Transport) -> Any:
    return SimpleNamespace(transport=transport, conf=SimpleNamespace(control_exchange="celery"))


def test_rate_limit_sends_celerys_arguments(transport: Transport) -> None:
    with workers(transport, "w1@h") as (worker,):
        Control(app_on(transport)).rate_limit("proj.add", "10/m", "w1@h", reply=True, timeout=PATIENT)

    assert worker.heard[0].method == "rate_limit"
    assert worker.heard[0].arguments == {"task_name": "proj.add", "rate_limit": "10/m"}


def test_broadcast_without_reply_returns_none(transport: Transport) -> None:
    assert Control(app_on(transport)).broadcast("ping") is None


def test_ping_lists_one_dict_per_worker(transport: Transport) -> None:
    with workers(transport, "w1@h"):
        replies = Control(app_on(transport)).ping(["w1@h"], timeout=PATIENT)

    assert replies == [{"w1@h": {"ok": "pong of w1@h"}}]


def test_inspect_answers_by_node(transport: Transport) -> None:
    with workers(transport, "w1@h"):
        replies = Control(app_on(transport)).inspect(["w1@h"], timeout=PATIENT).ping()

    assert replies == {"w1@h": {"ok": "pong of w1@h"}}


def test_inspect_answers_none_when_nobody_does(transport: Transport) -> None:
    assert Control(app_on(transport)).inspect(timeout=BRIEF).active() is None


def test_two_workers_of_one_name_are_warned_of(transport: Transport) -> None:
    control = Control(app_on(transport))

    with workers(transport, "w1@h", "w1@h"), pytest.warns(UserWarning, match="several workers answered as 'w1@h'"):
        control.ping(timeout=PATIENT, limit=2)
