"""A message as its own retry: everything stays but its number and its time."""

import json
from typing import Any

import pytest

from celery_rs._core import Envelope, open_envelopes, seal_envelopes
from celery_rs.execution import invented_id
from celery_rs.worker.resend import as_retry
from tests.apps import envelope_of, make_app


def sent(**options: Any) -> Envelope:
    app = make_app()

    @app.task(name="proj.add")
    def add(x: int, y: int) -> int:
        return x + y

    return envelope_of(app.compose("proj.add", (1, 2), {}, **options))


def headers_of(envelope: Envelope) -> dict[str, Any]:
    headers: dict[str, Any] = json.loads(envelope.headers)
    return headers


def test_a_retry_keeps_body_route_and_headers_and_counts_one_more() -> None:
    before = sent(headers={"tenant": "a"}, priority=3, time_limit=9, soft_time_limit=8, queue="low", expires=3600)

    again = as_retry(before, due=1_800_000_000.5)

    (after,) = open_envelopes(seal_envelopes([again.message], [again.route]))
    assert isinstance(after, Envelope)
    old, new = headers_of(before), headers_of(after)
    assert (new.pop("retries"), new.pop("eta")) == (1, "2027-01-15T08:00:00.500000+00:00")
    assert new == {name: value for name, value in old.items() if name not in ("retries", "eta")}
    assert (after.id, after.body, after.priority, after.routing_key) == (before.id, before.body, 3, before.routing_key)
    assert (again.not_before, again.expires) == (1_800_000_000.5, before.expires)


def test_the_same_loss_repeated_sends_the_same_message() -> None:
    before = sent(task_id="one")

    assert as_retry(before, due=1.0).once == as_retry(before, due=2.0).once == invented_id("one", 0, 0)


def test_a_transient_message_stays_one_and_its_time_to_live_is_not_begun_again() -> None:
    before = sent(delivery_mode=1, expires=3600)

    again = as_retry(before, due=1.0)

    assert (again.message.delivery_mode, again.message.expiration) == (1, None)


@pytest.mark.parametrize("mode", ["2", 1.0, True, None, [2], 7])
def test_a_delivery_mode_that_makes_no_sense_is_not_passed_on(mode: object) -> None:
    (before,) = open_envelopes([with_property("delivery_mode", mode)])
    assert isinstance(before, Envelope)

    again = as_retry(before, due=1.0)

    assert again.message.delivery_mode == 2
    assert seal_envelopes([again.message], [again.route])


def with_property(name: str, value: object) -> bytes:
    app = make_app()
    outgoing = app.compose("proj.add", (1, 2), {})
    (envelope,) = seal_envelopes([outgoing.message], [outgoing.route])
    fields = json.loads(envelope)
    fields["properties"][name] = value
    return json.dumps(fields).encode()
