"""The inbox: nothing that is posted waits for something else to be posted."""

import os
import select
from collections.abc import Iterator

import pytest

from celery_rs.worker.inbox import Inbox, Signalled


@pytest.fixture
def box() -> Iterator[Inbox]:
    box = Inbox()
    yield box
    box.close()


def rings(box: Inbox) -> bool:
    return bool(select.select([box.fileno()], [], [], 0)[0])


def test_a_post_rings_until_it_is_taken(box: Inbox) -> None:
    box.post(Signalled(1))
    assert rings(box)

    assert box.take() == [Signalled(1)]
    assert not rings(box)


def test_a_post_while_the_bell_is_being_silenced_does_not_silence_the_next(
    box: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = os.read

    def post_meanwhile(descriptor: int, most: int) -> bytes:
        monkeypatch.setattr(os, "read", read)
        box.post(Signalled(2))
        return read(descriptor, most)

    box.post(Signalled(1))
    monkeypatch.setattr(os, "read", post_meanwhile)
    taken = box.take()

    box.post(Signalled(3))

    assert taken == [Signalled(1), Signalled(2)]
    assert rings(box)
