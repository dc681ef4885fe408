"""What a Redis consumer knows it holds, while one thread learns that a message is lost and another one ends it."""

from celery_rs._core import open_envelopes
from celery_rs.transports.base import Burial
from celery_rs.transports.redis.ledger import Ledger


def test_what_was_lost_meanwhile_is_left_out() -> None:
    ledger = Ledger("consumer")
    (envelope,) = open_envelopes([b"{}"])
    for number in (1, 2):
        ledger.note(ledger.tag(number), number, "q", b"q", envelope)
    ours = ledger.ours([ledger.tag(1), ledger.tag(2)])

    ledger.take_lost([ledger.tag(1).encode()])

    assert ledger.returning(ours, crashed=False, counted=False, front=True) == [ours[1], b"q", b"{}"]
    assert ledger.deferring(dict.fromkeys(ours, 5.0), ours)[::4] == [ours[1]]
    assert ledger.letter(ours[0], Burial("lost", "why")) == b""
