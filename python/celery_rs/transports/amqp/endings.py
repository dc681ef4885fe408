"""How deliveries end: what follows from them is at the broker before they are acknowledged.

A crash between the two repeats work, and loses none.
"""

import time
import uuid
from collections.abc import Mapping, Sequence

from celery_rs._core import amqp_changed
from celery_rs.transports.amqp import past as pasts
from celery_rs.transports.amqp import topology
from celery_rs.transports.amqp.begun import again
from celery_rs.transports.amqp.copies import WRITE_S, Copies, publish_of
from celery_rs.transports.amqp.hand import Hand
from celery_rs.transports.amqp.outgoing import Sender
from celery_rs.transports.amqp.session import Session
from celery_rs.transports.base import Burial, Completion, Route, Tag, Tags, Verdict

REJECTED = Burial("rejected", "the task refused its message")


class Endings:
    """Of one consumer's deliveries. Each raises OperationalError when the broker cannot be reached."""

    def __init__(self, hand: Hand, copies: Copies, sender: Sender) -> None:
        self._hand = hand
        self._copies = copies
        self._sender = sender

    def finish(self, batch: Sequence[Completion]) -> Sequence[Verdict]:
        """See `transports.base.Consumer.finish`."""
        session, held = self._hand.ours([completion.tag for completion in batch])
        ours: dict[Tag, Completion] = {}
        for completion in batch:
            if completion.tag in held:
                ours.setdefault(completion.tag, completion)
        self._follow_up(ours)
        happened = self._settle(session, list(ours)) if session is not None else set()
        return [
            "committed" if completion.tag in happened and completion is ours[completion.tag] else "lost"
            for completion in batch
        ]

    def _follow_up(self, ours: Mapping[Tag, Completion]) -> None:
        followups = [followup for completion in ours.values() for followup in completion.followups]
        if followups:
            self._sender.publish_or_bury(followups, deadline=WRITE_S)
        rejected = {tag: REJECTED for tag, completion in ours.items() if completion.how == "rejected"}
        if rejected:
            self._publish_letters(rejected)

    def _settle(self, session: Session, tags: Sequence[Tag]) -> set[Tag]:
        self._copies.wait_for(session, tags)
        return self._hand.settle(session, tags)

    def give_back(self, tags: Tags, *, crashed: bool, front: bool) -> None:
        """See `transports.base.Consumer.give_back`."""
        session, ours = self._hand.ours(tags)
        if session is None or not ours:
            return
        nacked = {tag: held for tag, held in ours.items() if front and not crashed and held.may_be_nacked}
        published = {tag: held for tag, held in ours.items() if tag not in nacked}
        if published:
            copies = [
                publish_of(
                    Route("", held.past.queue),
                    again(held.past, redelivered=True, crashes=int(crashed), delivered=crashed),
                    held.body,
                )
                for held in published.values()
            ]
            self._sender.publisher.publish(copies, stored=True, deadline=WRITE_S)
            self._settle(session, list(published))
        if nacked:
            self._hand.nack(session, nacked)

    def defer(self, due: Mapping[Tag, float]) -> None:
        """See `transports.base.Consumer.defer`."""
        session, ours = self._hand.ours(due)
        if session is None or not ours:
            return
        publishes = []
        for tag, held in ours.items():
            properties = again(held.past, redelivered=held.redelivered)
            publishes.append(self._sender.delayed(held.past.queue, properties, held.body, due[tag]))
        self._sender.publisher.publish(publishes, stored=True, deadline=WRITE_S)
        self._settle(session, list(ours))

    def bury(self, letters: Mapping[Tag, Burial]) -> None:
        """See `transports.base.Consumer.bury`."""
        session, ours = self._hand.ours(letters)
        if session is not None and ours:
            self._publish_letters({tag: letters[tag] for tag in ours})
            self._settle(session, list(ours))

    def _publish_letters(self, letters: Mapping[Tag, Burial]) -> None:
        """The copy is stored before the original goes, so that it may be there twice; its id is the same then."""
        _, ours = self._hand.ours(letters)
        publishes = []
        for tag, held in ours.items():
            past, burial = held.past, letters[tag]
            headers: dict[str, str | int | float | bool | None] = {
                pasts.LETTER: uuid.uuid5(uuid.NAMESPACE_OID, tag).hex,
                pasts.QUEUE: past.queue,
                pasts.EXCHANGE: past.exchange,
                pasts.KEY: past.routing_key,
                pasts.REASON: burial.reason,
                pasts.DETAIL: burial.detail,
                pasts.DIED_AT: time.time(),
                pasts.CRASHES: past.crashes,
                pasts.DELIVERIES: past.deliveries + 1,
            }
            properties = amqp_changed(past.properties, headers=headers, expiration="", delivery_mode=2)
            publishes.append(publish_of(Route("", topology.DEAD), properties, held.body))
        self._sender.publisher.publish(publishes, stored=True, deadline=WRITE_S)
