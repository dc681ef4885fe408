"""Events on the wire, against envelopes recorded from Celery."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_rs.wire import Event, Unreadable, open_events, routing_key, seal_events

RECORDED: dict[str, tuple[str, dict[str, Any]]] = json.loads(
    Path(__file__).with_name("events_recorded.json").read_text()
)["envelopes"]
EVENT = Event("task-started", 7.5, 11, 3, {"uuid": "id-1"})


def body_of(envelope: bytes) -> Any:
    return json.loads(base64.b64decode(json.loads(envelope)["body"]))


def opened(raw: bytes) -> Any:
    events = open_events(raw)
    assert not isinstance(events, Unreadable), events
    return events


def reshaped(content: object, **changes: object) -> bytes:
    encoded = base64.b64encode(json.dumps(content).encode()).decode()
    return json.dumps({**RECORDED["worker-online"][1], "body": encoded, **changes}).encode()


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_an_event_of_celery_is_read(name: str) -> None:
    events = opened(json.dumps(RECORDED[name][1]).encode())

    assert {event["type"] for event in events} == {"task-failed" if name == "task-batch" else name}
    assert all(event["hostname"] and event["timestamp"] and event["clock"] for event in events)


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_an_event_is_sent_as_celery_sends_it(name: str) -> None:
    """The same events again, byte for byte but for the message's own id."""
    key, recorded = RECORDED[name]
    raw = json.dumps(recorded).encode()
    events = opened(raw)
    common = ("type", "timestamp", "pid", "clock", "hostname", "utcoffset")
    told = [
        Event(
            event["type"],
            event["timestamp"],
            event["pid"],
            event["clock"],
            {field: value for field, value in event.items() if field not in common},
            alone=not key.endswith(".multi"),
        )
        for event in events
    ]

    ((sealed_key, (sealed,)),) = seal_events(told, "celeryev", events[0]["hostname"])

    assert sealed_key == key
    assert list(body_of(sealed)) == list(body_of(raw))
    ours, theirs = json.loads(sealed), json.loads(raw)
    assert base64.b64decode(ours["body"]) == base64.b64decode(theirs["body"])
    for envelope in (ours, theirs):
        del envelope["body"], envelope["properties"]["delivery_tag"]
    assert json.dumps(ours) == json.dumps(theirs)


def test_neighbours_of_a_group_travel_together_and_others_alone() -> None:
    beat = Event("worker-heartbeat", 1.0, 1, 1, {}, alone=True)

    sealed = seal_events([EVENT, EVENT, beat, EVENT], "celeryev", "w1@h")

    assert [key for key, _ in sealed] == ["task.multi", "worker.heartbeat", "task.multi"]
    assert [len(body_of(envelopes[0])) for key, envelopes in sealed if key == "task.multi"] == [2, 1]


def test_an_array_of_events_is_of_bounded_length() -> None:
    ((key, envelopes),) = seal_events([EVENT] * 7, "celeryev", "w1@h", most=3)

    assert key == "task.multi"
    assert [len(body_of(envelope)) for envelope in envelopes] == [3, 3, 1]


def test_a_value_that_json_does_not_know_is_sent_as_its_repr() -> None:
    ((_, (envelope,)),) = seal_events([EVENT._replace(fields={"done": 1 + 2j})], "celeryev", "w1@h")

    assert body_of(envelope)[0]["done"] == "(1+2j)"


def test_the_offset_is_celerys_for_the_zone_of_the_process() -> None:
    script = "from celery_rs.wire import utcoffset; print(utcoffset())"
    zones = {"UTC": "0.0", "CET-1": "-1.0", "EST5": "5.0"}
    said = {
        zone: subprocess.run(
            [sys.executable, "-c", script], env=os.environ | {"TZ": zone}, capture_output=True, text=True, check=True
        ).stdout.strip()
        for zone in zones
    }

    assert said == zones


def test_routing_keys_are_types_with_dots() -> None:
    assert routing_key("worker-elect-ack") == "worker.elect.ack"


def test_what_is_no_event_among_events_is_left_out() -> None:
    assert opened(reshaped([{"type": "task-sent"}, 7, {"type": 7}, {}])) == [{"type": "task-sent"}]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "expected a JSON object, got b''"),
        (reshaped([]), "expected an event with a type, or a list of them, got []"),
        (reshaped({"uuid": "id"}), "expected an event with a type, or a list of them"),
        (reshaped(7), "expected an event with a type, or a list of them, got 7"),
        (reshaped({}, **{"content-type": "application/x-yaml"}), "expected content type 'application/json'"),
    ],
)
def test_what_is_no_event_says_why(raw: bytes, reason: str) -> None:
    events = open_events(raw)

    assert isinstance(events, Unreadable)
    assert events.reason.startswith(reason)


@given(st.one_of(st.binary(), st.recursive(st.none() | st.integers() | st.text(), st.lists).map(reshaped)))
def test_whatever_comes_is_events_or_says_why(raw: bytes) -> None:
    events = open_events(raw)

    assert isinstance(events, Unreadable) or all(isinstance(event["type"], str) for event in events)
