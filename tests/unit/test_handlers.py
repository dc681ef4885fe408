"""Signals that reach a worker whose loop has ended."""

import signal
from collections.abc import Iterator

import pytest

from celery_rs.worker import handlers as module
from celery_rs.worker.handlers import Handlers
from celery_rs.worker.inbox import Inbox, Signalled


@pytest.fixture
def box() -> Iterator[Inbox]:
    box = Inbox()
    yield box
    box.close()


@pytest.fixture
def abandoned(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    calls: list[bool] = []
    monkeypatch.setattr(module, "abandon", lambda: calls.append(True))
    return calls


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_what_insists_and_came_too_late_for_the_loop_is_heard(box: Inbox, abandoned: list[bool], number: int) -> None:
    box.post(Signalled(number))

    Handlers().leave(box)

    assert abandoned == [True]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_what_only_asks_for_an_end_changes_nothing_at_the_end(box: Inbox, abandoned: list[bool], number: int) -> None:
    box.post(Signalled(number))

    Handlers().leave(box)

    assert abandoned == []
