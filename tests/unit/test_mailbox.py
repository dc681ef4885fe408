"""Asking workers and hearing them, over the memory broker."""

from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from celery_rs.control import Control, ControlRequest, ask, tell
from celery_rs.transports import Transport
from celery_rs.transports.memory import MemoryTransport
from celery_rs.wire import LamportClock, exchanges, open_request
from tests.deadlines import DEADLINE_S
from tests.fake_worker import fake_workers

BRIEF = 0.05


@pytest.fixture
def transport() -> Transport:
    return MemoryTransport(uuid4().hex)


def test_asking_ends_at_once_when_every_destination_has_answered(transport: Transport) -> None:
    with fake_workers(transport, "w1@h", "w2@h", "w3@h"):
        replies = ask(transport, ControlRequest("ping", {}, ("w1@h", "w3@h")), timeout=DEADLINE_S)

    assert sorted(reply.node for reply in replies) == ["w1@h", "w3@h"]


def test_asking_ends_with_the_limit(transport: Transport) -> None:
    with fake_workers(transport, "w1@h", "w2@h"):
        replies = ask(transport, ControlRequest("ping", {}), timeout=DEADLINE_S, limit=1)

    assert len(replies) == 1


def test_silence_ends_the_asking(transport: Transport) -> None:
    assert ask(transport, ControlRequest("ping", {}), timeout=BRIEF) == []


def test_answers_to_another_question_are_not_ours(transport: Transport) -> None:
    with fake_workers(transport, "w1@h", ticket="another"):
        assert ask(transport, ControlRequest("ping", {}), timeout=BRIEF) == []


def test_each_answer_is_heard_as_it_comes(transport: Transport) -> None:
    heard: list[str] = []

    with fake_workers(transport, "w1@h"):
        ask(
            transport,
            ControlRequest("ping", {}, ("w1@h",)),
            timeout=DEADLINE_S,
            heard=lambda one: heard.append(one.node),
        )

    assert heard == ["w1@h"]


def test_a_request_that_nobody_waits_for_asks_for_no_reply(transport: Transport) -> None:
    subscription = transport.subscribe(exchanges("celery")[0], "#")

    tell(transport, ControlRequest("ping", {}))

    (raw,) = subscription.receive(DEADLINE_S)
    request = open_request(raw)
    assert isinstance(request, ControlRequest)
    assert (request.ticket, request.reply_to) == (None, None)


def app_on(transport: Transport) -> Any:
    return SimpleNamespace(transport=transport, conf=SimpleNamespace(control_exchange="celery"), clock=LamportClock())


def test_rate_limit_sends_celerys_arguments(transport: Transport) -> None:
    with fake_workers(transport, "w1@h") as (worker,):
        Control(app_on(transport)).rate_limit("proj.add", "10/m", "w1@h", reply=True, timeout=DEADLINE_S)

    assert worker.heard[0].method == "rate_limit"
    assert worker.heard[0].arguments == {"task_name": "proj.add", "rate_limit": "10/m"}


def test_broadcast_without_reply_returns_none(transport: Transport) -> None:
    assert Control(app_on(transport)).broadcast("ping") is None


def test_ping_lists_one_dict_per_worker(transport: Transport) -> None:
    with fake_workers(transport, "w1@h"):
        replies = Control(app_on(transport)).ping(["w1@h"], timeout=DEADLINE_S)

    assert replies == [{"w1@h": {"ok": "pong of w1@h"}}]


def test_inspect_answers_by_node(transport: Transport) -> None:
    with fake_workers(transport, "w1@h"):
        replies = Control(app_on(transport)).inspect(["w1@h"], timeout=DEADLINE_S).ping()

    assert replies == {"w1@h": {"ok": "pong of w1@h"}}


def test_inspect_answers_none_when_nobody_does(transport: Transport) -> None:
    assert Control(app_on(transport)).inspect(timeout=BRIEF).active() is None


def test_two_workers_of_one_name_are_warned_of(transport: Transport) -> None:
    control = Control(app_on(transport))

    with fake_workers(transport, "w1@h", "w1@h"), pytest.warns(UserWarning, match="several workers answered as 'w1@h'"):
        control.ping(timeout=DEADLINE_S, limit=2)
