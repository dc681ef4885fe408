"""What a child tells its parent crosses as flat data."""

import enum

import pytest

from celery_rs.execution import Outcome
from celery_rs.transports import Outgoing, Route
from celery_rs.wire import ChordPart, Message, TaskResult
from celery_rs.worker.pools.reports import FINISHED, decode_report, encode_report, ending, rebuild


class Text(str):
    __slots__ = ()


class Level(enum.IntEnum):
    HIGH = 9


def crossed(outcome: Outcome) -> Outcome:
    kind, value = ending(outcome)
    _, kind, _, value = decode_report(encode_report(1, kind, 1, value))
    return rebuild(kind, outcome.tag, value)


def test_an_outcome_is_the_same_on_the_other_side() -> None:
    outcome = Outcome(
        "tag",
        "retry",
        "RETRY",
        0.5,
        record=TaskResult("id", "RETRY", 1, b"meta"),
        followups=[Outgoing(Message("task", "id", b"body", "dt", stamps=b"{}"), Route("", "q"), 1.0, "once", None)],
        part=ChordPart("group", "id", 3, "RETRY", b"part"),
    )

    assert crossed(outcome) == outcome


@pytest.mark.parametrize("record", [None, TaskResult("id", "SUCCESS", 0, b"meta")])
def test_a_success_is_the_same_on_the_other_side(record: TaskResult | None) -> None:
    outcome = Outcome("tag", "success", "SUCCESS", 0.5, "4", record=record)

    assert crossed(outcome) == outcome


def test_users_own_kinds_of_text_and_number_become_plain_ones() -> None:
    message = Message("task", "id", b"body", "dt", shadow=Text("shadow"), priority=Level.HIGH)

    (outgoing,) = crossed(
        Outcome("tag", "success", "SUCCESS", 0.0, followups=[Outgoing(message, Route("", "q"))])
    ).followups

    assert (type(outgoing.message.shadow), outgoing.message.shadow) == (str, "shadow")
    assert (type(outgoing.message.priority), outgoing.message.priority) == (int, 9)


@pytest.mark.parametrize("damaged", [b"", b"nonsense", encode_report(1, FINISHED, 1)[:-3]])
def test_a_damaged_report_is_refused(damaged: bytes) -> None:
    with pytest.raises((ValueError, EOFError, TypeError)):
        decode_report(damaged)
