"""What a message says of its own past: nothing else of it changes, and every reader of Celery's takes it."""

import json

from hypothesis import given
from hypothesis import strategies as st

from celery_rs._core import Envelope, open_envelopes, seal_envelopes
from celery_rs.transports.redis.redelivery import NEW, Past, past, with_past
from tests.messages import message

counts = st.integers(0, 1 << 40)
pasts = st.builds(Past, st.booleans(), counts, counts)


def sealed(id: str) -> bytes:
    return seal_envelopes([message(id=id)], [("", "q")])[0]


texts = st.text(st.characters(exclude_categories=["Cs"]))


@given(pasts, pasts, texts)
def test_a_past_is_read_as_it_was_written_over_any_other(first: Past, second: Past, name: str) -> None:
    raw = sealed(id=name)

    written = with_past(with_past(raw, first), second)

    assert past(open_envelopes([written])[0]) == second
    assert json.loads(with_past(written, NEW)) == json.loads(raw)


@given(pasts)
def test_kombu_sees_whether_it_comes_again(now: Past) -> None:
    fields = json.loads(with_past(sealed(id="a"), now))

    assert fields["headers"].get("redelivered", False) is now.redelivered
    assert fields["properties"]["delivery_info"].get("redelivered", False) is now.redelivered


@given(st.binary(), pasts)
def test_what_is_no_envelope_stays_as_it_is(raw: bytes, now: Past) -> None:
    (opened,) = open_envelopes([raw])

    assert past(opened) == NEW
    assert with_past(raw, now) == raw


@given(st.recursive(st.none() | st.booleans() | st.integers() | texts, lambda inner: st.lists(inner, max_size=3)))
def test_a_past_that_makes_no_sense_is_none(rubbish: object) -> None:
    fields = json.loads(sealed(id="a"))
    fields["properties"]["crs_crashes"] = fields["properties"]["crs_deliveries"] = rubbish

    (opened,) = open_envelopes([json.dumps(fields).encode()])

    assert isinstance(opened, Envelope)
    assert opened.has_past
    found = past(opened)
    assert found.crashes >= 0
    assert type(found.crashes) is int
