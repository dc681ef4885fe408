"""What a consumer knows it holds. No I/O.

The server's account and this one may differ, after a lost reply or a takeover; the server's counts.
"""

import itertools
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from operator import itemgetter

from celery_rs._core import DecodeError, Envelope
from celery_rs.transports.base import Burial, Completion, Delivery, Tag
from celery_rs.transports.redis.keys import record_end
from celery_rs.transports.redis.letters import letter
from celery_rs.transports.redis.link import Argument
from celery_rs.transports.redis.redelivery import Past, past, with_past

Hold = tuple[int, bytes, Delivery]
"""A message that is ours: its place among those of one list, the list, the delivery. Plain, for there are many."""


class Ledger:
    """Any thread.

    An epoch is a time in which no reply was lost. Whoever has the server make tags holds `noting` until they are noted
    here: in between nobody may take them for forgotten.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.epoch = 1
        self.reply_was_lost = False
        self.orphans_are_lost = False
        """The same for orphans that it may have made ours: a repair leaves those to the next `recover`."""
        self.noting = threading.Lock()
        self.unsure: set[Tag] = set()
        """Ends of these were written, and whether they happened is not known."""
        self._held: dict[Tag, Hold] = {}
        self._serial = itertools.count(1)
        self._closed = False

    # Tags

    def first_number(self) -> int:
        """The number of the next tag, for a script that makes some."""
        return next(self._serial)

    def made(self, first: int, count: int) -> None:
        """So many tags have been made, the first with this number."""
        self._serial = itertools.count(first + max(1, count))

    def tag(self, number: int) -> Tag:
        return f"{self.name}.{self.epoch}.{number}"

    def new_epoch(self) -> None:
        """A reply was lost: what it has made ours we do not know of. `noting` is held, for tags tell their epoch."""
        self.epoch += 1
        self.lose()

    def lose(self) -> None:
        """More is ours than we know of."""
        self.reply_was_lost = self.orphans_are_lost = True

    # Messages

    def note(self, tag: Tag, place: int, queue: str, key: bytes, envelope: Envelope | DecodeError) -> Delivery:
        """It is ours from now on."""
        redelivered, crashes, deliveries = past(envelope)
        delivery = Delivery(tag, queue, envelope, redelivered, crashes, deliveries + 1)
        self._held[tag] = (place, key, delivery)
        return delivery

    def ours(self, tags: Iterable[Tag]) -> list[Tag]:
        """Those that we hold as far as we know, each once."""
        return [] if self._closed else [tag for tag in dict.fromkeys(tags) if tag in self._held]

    def note_all(
        self, first: int, queue: str, key: bytes, envelopes: Sequence[Envelope | DecodeError]
    ) -> list[Delivery]:
        """These are ours from now on: what one list gave, under tags numbered from `first` on."""
        named, held = f"{self.name}.{self.epoch}.", self._held
        deliveries = []
        for number, envelope in enumerate(envelopes, first):
            tag = f"{named}{number}"
            if type(envelope) is Envelope and not envelope.has_past:
                delivery = Delivery(tag, queue, envelope)
                held[tag] = (number, key, delivery)
            else:
                delivery = self.note(tag, number, queue, key, envelope)
            deliveries.append(delivery)
        return deliveries

    def held(self, batch: Sequence[Completion]) -> Sequence[Completion]:
        """The ends of what we hold as far as we know."""
        held = self._held
        return [] if self._closed else [completion for completion in batch if completion.tag in held]

    def knows(self, tag: Tag) -> bool:
        return tag in self._held

    def __len__(self) -> int:
        return len(self._held)

    def everything(self) -> list[Tag]:
        return list(self._held)

    def let_go(self, tags: Collection[Tag]) -> None:
        held, unsure = self._held, self.unsure
        for tag in tags:
            held.pop(tag, None)
        if unsure:
            unsure.difference_update(tags)

    def take_lost(self, told: Iterable[bytes]) -> list[Tag]:
        """Those among the tags that the server says are no longer ours of which nobody has been told."""
        lost = sorted({tag for raw in told if (tag := raw.decode()) in self._held})
        self.let_go(lost)
        return lost

    def close(self) -> None:
        """Whoever has closed holds nothing any more."""
        self._closed = True

    @property
    def closed(self) -> bool:
        return self._closed

    # As scripts read it

    def letter(self, tag: Tag, why: Burial) -> bytes:
        """The dead letter that a message becomes; empty for what is ours no more."""
        hold = self._held.get(tag)
        if hold is None:
            return b""  # lost meanwhile: the server has it no more under this tag
        _, _, held = hold
        opened = held.envelope if isinstance(held.envelope, Envelope) else None
        name, id = opened and opened.task, opened and opened.id
        return letter(held.queue, name, id, why.reason, why.detail, held.crashes, held.deliveries, held.envelope.raw)

    def returning(self, tags: Sequence[Tag], *, crashed: bool, counted: bool, front: bool) -> list[Argument]:
        """For `give_back.lua`. Unless it is `counted`, nothing happened to a message, and this was no delivery."""
        # The one that goes last to the front is served first.
        held = sorted(self._still(tags), key=itemgetter(0), reverse=front)
        return [
            item
            for _, key, delivery in held
            for item in (delivery.tag, key, _returned(delivery, crashed=crashed, counted=counted))
        ]

    def deferring(self, due: Mapping[Tag, float], tags: Sequence[Tag]) -> list[Argument]:
        """For `defer.lua`."""
        packed: list[Argument] = []
        for _, key, held in self._still(tags):
            packed += [held.tag, repr(due[held.tag]), key, len(record_end(held.queue))]
        return packed

    def _still(self, tags: Iterable[Tag]) -> list[Hold]:
        """Those that another thread has not learnt to be lost."""
        return [hold for hold in map(self._held.get, tags) if hold is not None]


def _returned(delivery: Delivery, *, crashed: bool, counted: bool) -> bytes:
    """The envelope as it goes back."""
    before = Past(delivery.redelivered, delivery.crashes, delivery.deliveries - 1)
    after = Past(True, before.crashes + crashed, before.deliveries + counted)
    return delivery.envelope.raw if after == before else with_past(delivery.envelope.raw, after)
