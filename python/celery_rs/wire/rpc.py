"""Results that are sent to who called, Celery's `rpc`, on the wire (docs/internals/wire-protocol.md, 5.5).

The message is the record; nothing is in its headers. Opening never raises: anybody who reaches the broker may write to
the queue.
"""

import base64
import json
from collections.abc import Sequence
from typing import NamedTuple

from celery_rs._core import new_id
from celery_rs.wire.broadcast import Unreadable, Wrong, open_content
from celery_rs.wire.topology import Exchange, Queue

LONGEST_S = 4_294_967.0
"""A RabbitMQ refuses a queue that is to live longer without being used: its timers end at 2^32 ms."""
RESULTS = Exchange("", "direct")
"""By its routing key a message comes to the queue of that name."""


class SentResult(NamedTuple):
    """A record on its way, in the content type that it was written in."""

    task_id: str
    content_type: str
    content_encoding: str
    body: bytes


def result_queue(name: str, expires: float | None) -> Queue:
    """Where a caller's results come to: gone with who reads it, or `expires` seconds after its last use."""
    lasting = None if expires is None else min(max(expires, 0.001), LONGEST_S)
    return Queue(name, auto_delete=True, expires=lasting)


def seal_results(results: Sequence[SentResult], to: str, *, delivery_mode: int) -> list[bytes]:
    """The results as envelopes for the queue `to`."""
    tag = new_id()[:-12]  # what follows is counted: a random number for each would cost more than all the rest
    key = _quoted(to)
    return [
        b'{"body": "%b", "content-encoding": %b, "content-type": %b, "headers": {}, "properties": {'
        b'"correlation_id": %b, "delivery_mode": %d, "delivery_info": {"exchange": "", "routing_key": %b}, '
        b'"priority": 0, "body_encoding": "base64", "delivery_tag": "%b%012x"}}'
        % (
            base64.b64encode(result.body),
            _quoted(result.content_encoding),
            _quoted(result.content_type),
            _quoted(result.task_id),
            delivery_mode,
            key,
            tag.encode(),
            number,
        )
        for number, result in enumerate(results)
    ]


def _quoted(text: str) -> bytes:
    return json.dumps(text).encode()


def open_result(raw: bytes) -> SentResult | Unreadable:
    """Read a result's envelope."""
    try:
        content = open_content(raw)
        task_id = content.properties.get("correlation_id")
        if not isinstance(task_id, str) or not task_id:
            raise Wrong("expected the task's id as correlation_id, got", task_id)
    except Wrong as wrong:
        return Unreadable(str(wrong))
    return SentResult(task_id, content.content_type, content.content_encoding, content.body)
