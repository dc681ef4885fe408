"""What a dead worker of Celery's held goes back to its queues, also where no worker of Celery's is left to do it.

Stock workers note what they hold since when, and renew nothing: what is older than the visibility timeout is taken for
lost by each of them, and by us. Two sweeps at once do no harm: only one of them finds the record.
"""

import json
from collections.abc import Sequence
from typing import NamedTuple

from celery_rs._core import Envelope, open_envelopes
from celery_rs.transports.base import Route
from celery_rs.transports.redis.bindings import Bindings
from celery_rs.transports.redis.keys import Keys, is_name
from celery_rs.transports.redis.letters import letter
from celery_rs.transports.redis.link import Argument, Link
from celery_rs.transports.redis.redelivery import past, with_past
from celery_rs.transports.redis.scripts import Script
from celery_rs.transports.redis.skew import Skew

INTERVAL_S = 10.0
_AT_ONCE = 200


class Overdue:
    """Sweeps, one in `INTERVAL_S` by the server's clock. One thread at a time."""

    def __init__(self, keys: Keys, bindings: Bindings, skew: Skew, visibility_timeout: float) -> None:
        self._keys = keys
        self._bindings = bindings
        self._skew = skew
        self._timeout = visibility_timeout
        self._interval = min(INTERVAL_S, visibility_timeout)
        self._swept_at: float | None = None

    def restore(self, link: Link, now: float) -> int:
        """Return what is overdue, if it is time to look. -> how many messages."""
        if self._swept_at is not None and abs(now - self._swept_at) < self._interval:
            return 0
        restored = 0
        while True:
            told = Script.OVERDUE.run(link, self._keys.fixed, self._skew(), repr(self._timeout), _AT_ONCE)
            records = list(zip(told[::2], told[1::2], strict=True))
            returned = self._restore(link, records) if records else 0
            restored += returned
            if len(records) < _AT_ONCE or not returned:
                self._swept_at = now
                return restored

    def _restore(self, link: Link, records: Sequence[tuple[bytes, bytes]]) -> int:
        opened = [_open(record) for _, record in records]
        routed = iter(self._bindings.targets(link, [each.route for each in opened if each.route is not None]))
        packed: list[Argument] = []
        for (field, _), each in zip(records, opened, strict=True):
            targets = [] if each.route is None else next(routed)
            # A broadcast is heard by who listens when it is said: it has a channel for a target, and no list.
            lists = [self._keys.queue(target.queue, each.priority) for target in targets if target.queue is not None]
            packed += [field, each.envelope, b"" if targets else each.letter(), len(lists), *lists]
        return int(Script.RESTORE.run(link, self._keys.fixed, self._skew(), repr(self._timeout), *packed))


class _Held(NamedTuple):
    """A message that a stock worker holds, as it goes back; without a route it cannot."""

    envelope: bytes
    route: Route | None
    priority: int
    task: str | None
    id: str | None
    why: str

    def letter(self) -> bytes:
        """What is kept of it where no queue takes it."""
        queue = "" if self.route is None else self.route.routing_key
        return letter(queue, self.task, self.id, "unroutable", self.why, 0, 0, self.envelope)


def _open(record: bytes) -> _Held:
    """Kombu's record: `[envelope, exchange, routing key]`. Of anything else the whole is kept, and goes nowhere."""
    try:
        fields, exchange, routing_key = json.loads(record)
    except (ValueError, TypeError, RecursionError):
        fields = exchange = routing_key = None
    if not isinstance(fields, dict) or not is_name(exchange) or not is_name(routing_key):
        return _Held(record, None, 0, None, None, "a worker held it under a record that cannot be read")
    (envelope,) = open_envelopes([json.dumps(fields).encode()])
    raw = with_past(envelope.raw, past(envelope)._replace(redelivered=True))
    why = f"no queue is bound to exchange {exchange!r} for routing key {routing_key!r} any more"
    if isinstance(envelope, Envelope):
        return _Held(raw, Route(exchange, routing_key), envelope.priority, envelope.task, envelope.id, why)
    return _Held(raw, Route(exchange, routing_key), 0, None, None, why)
