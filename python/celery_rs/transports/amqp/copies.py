"""What has begun lies in a queue of our own, as a copy: where it goes when we die is `begun`'s business.

The copy is at the broker before the original is acknowledged, and it is acknowledged in the original's place.
"""

import time
from collections.abc import Collection, Mapping

from celery_rs._core import amqp_content
from celery_rs.errors import OperationalError
from celery_rs.transports.amqp.begun import OwnQueues, copy_of
from celery_rs.transports.amqp.errors import LinkLost
from celery_rs.transports.amqp.hand import Hand, Held
from celery_rs.transports.amqp.publisher import CHANNEL, FRAME_MAX, Publisher
from celery_rs.transports.amqp.session import Session
from celery_rs.transports.amqp.unconfirmed import Publish
from celery_rs.transports.base import Route, Tag, Tags

WRITE_S = 10.0
_COPY_S = 1.0
"""How long the end of a task waits for the copy of its message, which the broker has confirmed."""


class Copies:
    """Of what one consumer runs. `patience_s` is the broker's with what is not acknowledged."""

    def __init__(self, hand: Hand, publisher: Publisher, own_queues: OwnQueues, patience_s: float) -> None:
        self._hand = hand
        self._publisher = publisher
        self._own_queues = own_queues
        self._most_s = patience_s / 3

    def begin(self, tags: Tags, *, late: bool) -> Tags:
        """See `transports.base.Consumer.begin`."""
        hand = self._hand
        session, ours = hand.ours(tags)
        starting = {tag: held for tag, held in ours.items() if not held.begun}
        gone = hand.gone(tags)
        if starting and session is not None:
            now = time.monotonic()
            for held in starting.values():
                held.late, held.copied_at = late, now
            self._copy(starting)
            with hand.lock:
                if hand.session is not session:
                    for tag in starting:  # the original comes again, so its copy is not needed
                        hand.remember_finished(tag)
                    return [*gone, *starting]
                for held in starting.values():
                    held.begun = True
                originals = [held.number for held in starting.values() if held.number is not None]
                hand.acknowledge_work(session, originals)
        return gone

    def _copy(self, begun: Mapping[Tag, Held]) -> None:
        """Publish these to the queue of what we run."""
        copies = []
        for tag, held in begun.items():
            key, properties = copy_of(held.past, tag, late=held.late)
            copies.append(publish_of(Route(self._own_queues.begun, key), properties, held.body))
        self._publisher.publish(copies, stored=True, deadline=WRITE_S)

    def renew(self, session: Session) -> None:
        """Work that goes on for long is delivered to us again, before the broker's patience with it ends."""
        now = time.monotonic()
        hand = self._hand
        with hand.lock:
            hand.hear_own(session)
            lasting = {
                tag: held for tag, held in hand.held.items() if held.copies and now - held.copied_at > self._most_s
            }
            old = {tag: held.copies for tag, held in lasting.items()}
            for held in lasting.values():
                held.copies = ()
        if not lasting:
            return
        try:
            self._copy(lasting)
        except OperationalError:
            with hand.lock:
                for tag, held in lasting.items():
                    held.copies = [*held.copies, *old[tag]]
            raise
        with hand.lock:
            for held in lasting.values():
                held.copied_at = now
            if hand.session is session:
                hand.acknowledge_own(session, [number for tag in old for number in old[tag]])

    def wait_for(self, session: Session, tags: Collection[Tag]) -> None:
        """Of what has begun a moment ago the copy may be on its way, and nothing else is left to acknowledge.

        A worker that died with it unacknowledged would be survived by an orphan that had an end.
        """
        until = time.monotonic() + _COPY_S
        try:
            while self._are_missing(session, tags):
                if not session.link.wait(lambda: session.own_arrived, until - time.monotonic()):
                    return  # it is acknowledged when it comes
        except LinkLost:
            pass

    def _are_missing(self, session: Session, tags: Collection[Tag]) -> bool:
        hand = self._hand
        with hand.lock:
            if hand.session is not session:
                return False
            hand.hear_own(session)
            for tag in tags:
                held = hand.held.get(tag)
                if held is not None and held.begun and not held.copies:
                    return True
            return False


def publish_of(route: Route, properties: bytes, body: bytes) -> Publish:
    """Content as it came, on its way to somewhere else."""
    frames = amqp_content(CHANNEL, FRAME_MAX, *route, True, properties, body)
    return Publish(frames, route, route.routing_key if not route.exchange else None)
