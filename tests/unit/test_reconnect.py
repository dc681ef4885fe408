"""How often a broker that cannot be reached is tried again, and what the log says."""

import logging
from typing import Any

import pytest

from celery_rs.errors import OperationalError
from celery_rs.worker.reconnect import Complaint, Patience, Rising, Tries

AWAY = OperationalError("it is away")


def conf(**changes: Any) -> dict[str, Any]:
    return {
        "broker_connection_retry": True,
        "broker_connection_retry_on_startup": None,
        "broker_connection_max_retries": 100,
    } | changes


@pytest.mark.parametrize(
    ("changes", "at_start", "while_running"),
    [
        ({}, 100, 100),
        ({"broker_connection_max_retries": None}, None, None),
        ({"broker_connection_retry": False}, 0, 0),
        ({"broker_connection_retry_on_startup": False}, 0, 100),
        ({"broker_connection_retry": False, "broker_connection_retry_on_startup": True}, 100, 0),
    ],
)
def test_the_settings_say_how_often(changes: dict[str, Any], at_start: int | None, while_running: int | None) -> None:
    chosen = conf(**changes)

    assert (Patience.at_start(chosen).most, Patience.while_running(chosen).most) == (at_start, while_running)


def test_delays_rise_to_half_a_minute_and_start_over_once_it_worked() -> None:
    tries = Tries("broker", delays=Rising())

    delays = [tries.failed(AWAY) for _ in range(16)]
    tries.worked()

    assert delays == [2.0 * n for n in range(1, 16)] + [30.0]
    assert tries.failed(AWAY) == 2.0


def test_the_last_failure_is_raised() -> None:
    tries = Tries("broker", Patience(2), Rising())
    tries.failed(AWAY)
    tries.failed(AWAY)

    with pytest.raises(OperationalError, match="it is away"):
        tries.failed(AWAY)


def test_the_log_says_what_happens_next(caplog: pytest.LogCaptureFixture) -> None:
    Tries("sqlite:///x", Patience(3), Rising()).failed(AWAY)
    Tries("sqlite:///x", Patience(None), Rising()).failed(AWAY)

    assert caplog.messages == [
        "consumer: Cannot connect to sqlite:///x: it is away. Trying again in 2.00 seconds... (1/3)",
        "consumer: Cannot connect to sqlite:///x: it is away. Trying again in 2.00 seconds... (1)",
    ]


def test_the_log_names_the_broker_once(caplog: pytest.LogCaptureFixture) -> None:
    tries = Tries("redis://x", delays=Rising())
    tries.failed(OperationalError("broker redis://x cannot be reached: Connection refused"))
    Tries("redis://x", delays=Rising()).failed(OperationalError("broker redis://x refused: no such database"))

    assert [line.partition(". Trying")[0] for line in caplog.messages] == [
        "consumer: Cannot connect to redis://x: Connection refused",
        "consumer: Cannot connect to redis://x: refused: no such database",
    ]


def test_the_log_says_when_the_broker_is_back(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    tries = Tries("redis://x", delays=Rising())
    tries.worked()
    assert caplog.messages == []

    tries.failed(AWAY)
    tries.worked()
    tries.worked()

    assert caplog.messages[1:] == ["Connected to redis://x"]


def test_a_thread_complains_once_for_each_reason(caplog: pytest.LogCaptureFixture) -> None:
    complaint = Complaint(logging.getLogger("test"), "leases")
    for error in (AWAY, AWAY, OperationalError("it is full"), OperationalError("it is full")):
        complaint.failed(error)
    complaint.worked()
    complaint.failed(OperationalError("it is full"))

    assert caplog.messages == [
        "leases: it is away; trying again until it works",
        "leases: it is full; trying again until it works",
        "leases: it is full; trying again until it works",
    ]


def test_a_broker_may_be_tried_sooner_than_the_log_says_and_that_does_not_count(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tries = Tries("broker", Patience(2), Rising(step=7.0), sooner=3.0)

    delays = [tries.failed(AWAY) for _ in range(8)]

    assert delays == [3.0, 3.0, 1.0, 3.0, 3.0, 3.0, 3.0, 2.0]
    assert [line.rpartition(" in ")[2] for line in caplog.messages] == [
        "7.00 seconds... (1/2)",
        "14.00 seconds... (2/2)",
    ]
    with pytest.raises(OperationalError, match="it is away"):
        tries.failed(AWAY)
