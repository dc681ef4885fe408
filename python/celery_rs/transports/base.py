"""What a broker adapter promises: Transport, Consumer, and the plain data they exchange.

The words, the order inside `finish` and who dies where are in docs/internals/contracts.md. One
conformance suite (tests/conformance) holds every implementation to this file.
"""

from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from celery_rs._core import DecodeError, Envelope
from celery_rs.errors import OperationalError
from celery_rs.wire import ChordPart, Exchange, Message, Queue, TaskResult

Tag = str
"""A held delivery: `<consumer>.<epoch>.<n>`, opaque, never reused."""
Tags = Collection[Tag]
Wait = Literal["written", "stored"]


class QueueRefused(OperationalError):
    """The broker does not let a queue be used as it was asked for. Trying again changes nothing."""


class Route(NamedTuple):
    """Where a message goes: exchange `""` delivers to the queue named by the routing key."""

    exchange: str
    routing_key: str


class Outgoing(NamedTuple):
    """A message to publish.

    `not_before` and `expires` are epoch seconds. A broker without delays ignores `not_before`
    (the message carries its `eta` as well). A second message with the same `once` within 24 hours is
    dropped where the broker can tell.
    """

    message: Message
    route: Route
    not_before: float | None = None
    once: str | None = None
    expires: float | None = None


class Delivery(NamedTuple):
    """A reserved message. `crashes` counts deaths of its runner, `deliveries` all reserves, this one included."""

    tag: Tag
    queue: str
    envelope: Envelope | DecodeError
    redelivered: bool = False
    crashes: int = 0
    deliveries: int = 1


class Received(NamedTuple):
    """`lost` names tags of ours that another holder has by now; `facts` is the newest fact's version."""

    deliveries: Sequence[Delivery]
    lost: Tags = ()
    facts: int = 0


class Completion(NamedTuple):
    """The end of one delivery; every part of it happens, in contract order, or none does."""

    tag: Tag
    how: Literal["done", "rejected"] = "done"
    followups: Sequence[Outgoing] = ()
    record: TaskResult | None = None
    part: ChordPart | None = None


Verdict = Literal["committed", "unheard", "lost"]
"""`unheard` is `committed`, of a record for which nobody listened; a broker need not tell the two apart."""


class Burial(NamedTuple):
    """Why a delivery becomes a dead letter: a short code, a sentence for people, a record for the caller."""

    reason: str
    detail: str
    record: TaskResult | None = None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A buried message. `died_at` is epoch seconds, `envelope` the bytes as they came."""

    id: str
    queue: str
    task: str | None
    task_id: str | None
    reason: str
    detail: str
    crashes: int
    deliveries: int
    died_at: float
    envelope: bytes


@dataclass(frozen=True, slots=True)
class DeadPage:
    """Some dead letters, oldest first; `after` continues the listing, None ends it."""

    letters: Sequence[DeadLetter]
    after: str | None


@dataclass(frozen=True, slots=True)
class Recovered:
    """`returned` messages went back to their queues; `orphans` are begun ones of dead owners, now held by us."""

    returned: int = 0
    orphans: Sequence[Delivery] = ()


@dataclass(frozen=True, slots=True)
class QueueInfo:
    """Counts by state, `oldest` ready message in seconds of age; None = not known on this broker."""

    ready: int | None
    held: int | None
    begun: int | None
    delayed: int | None
    dead: int | None
    oldest: float | None
    consumers: int | None


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where the message of a task is. `holder` is a consumer's name, `due` epoch seconds."""

    queue: str
    state: Literal["ready", "held", "begun", "delayed", "dead"]
    holder: str | None
    due: float | None
    crashes: int
    deliveries: int


class Delayed(NamedTuple):
    """A message that the broker keeps until `due` (epoch seconds)."""

    queue: str
    due: float
    envelope: Envelope | DecodeError


@dataclass(frozen=True, slots=True)
class HandedBack:
    """What went to plain queues: deferred messages, those that dead workers of ours held, and dead letters.

    `left` are dead letters that stay, work that had begun when its worker died among them.
    """

    deferred: int
    held: int
    dead: int
    left: int


@dataclass(frozen=True, slots=True)
class Fact:
    """A small durable truth. `until` is epoch seconds; a dropped fact has `value` None."""

    kind: str
    key: str
    value: bytes | None
    until: float | None


@dataclass(frozen=True, slots=True)
class Features:
    """What this broker can do; what it cannot raises NotSupported, never passes silently."""

    delays: bool
    facts: bool
    browse: bool
    once: bool
    ages: bool
    pushes: bool = False
    """Whether messages are on their way before they are asked for: fewer than asked for does not mean that there are no
    more."""
    lowest_first: tuple[int, ...] = ()
    """Where low priorities are served first: the steps that they are rounded down to, from 0 up."""

    def urgency(self, priority: int) -> int:
        """The greater, the sooner; what is as urgent is served in the order of its arrival."""
        if not self.lowest_first:
            return priority
        return -self.lowest_first[bisect_right(self.lowest_first, max(priority, 0)) - 1]


class Facts(Protocol):
    """Any thread. A fact is seen by every worker within a second."""

    def put(self, kind: str, key: str, value: bytes, until: float | None = None) -> None: ...
    def drop(self, kind: str, key: str) -> None: ...
    def since(self, version: int) -> tuple[int, Sequence[Fact]]:
        """The newest version, and every fact put or dropped after `version`, oldest first."""
        ...


class DeadLetters(Protocol):
    """Any thread."""

    def page(self, queue: str | None = None, after: str | None = None, limit: int = 100) -> DeadPage: ...
    def get(self, id: str) -> DeadLetter:
        """Raises KeyError."""
        ...

    def retry(self, ids: Collection[str]) -> int:
        """Put them back at the end of their queues, counters reset; returns how many there were."""
        ...

    def edit(self, id: str, args: Sequence[object], kwargs: Mapping[str, object]) -> None:
        """Replace the arguments (JSON bodies only). Raises KeyError, ValueError."""
        ...

    def purge(self, before: float | None = None) -> int: ...


class Subscription(Protocol):
    """One thread. A queue of one's own on an exchange; it ends with `close` or with the process."""

    def receive(self, timeout: float) -> Sequence[bytes]:
        """Envelopes published since the last call, oldest first; empty after `timeout` seconds."""
        ...

    def wake(self) -> None: ...
    def is_lost(self) -> bool:
        """Whether what is published now would not be heard, as far as can be known without asking. Any thread."""
        ...

    def close(self) -> None: ...


class Consumer(Protocol):
    """One worker's hold on some queues.

    `receive` and `listen_to` belong to one thread; everything else may be called from any. Tags that
    are not held by this consumer are reported, never acted upon. Raises OperationalError when the broker
    cannot be reached: then nothing is known, and the call may be repeated.
    """

    name: str

    def receive(self, limit: int, timeout: float) -> Received:
        """Reserve up to `limit` messages, by priority then age; wait up to `timeout` seconds for the first."""
        ...

    def begin(self, tags: Tags, *, late: bool = False) -> Tags:
        """Record that these have started; returns those no longer ours.

        Early (the default): held → begun, never redelivered, an orphan if we die. Late: stays held, and
        counts a crash if we die.
        """
        ...

    def holds(self, tags: Tags) -> Tags:
        """Which of these are still ours."""
        ...

    def commits(self, backend: object) -> bool:
        """Whether `finish` and `bury` store records and chord parts in this result backend in the same step."""
        ...

    def finish(self, batch: Sequence[Completion]) -> Sequence[Verdict]:
        """Publish, store, count, settle, only while held; a lost one leaves no trace."""
        ...

    def give_back(self, tags: Tags, *, crashed: bool = False, front: bool = True) -> None:
        """To their queues. Without `crashed` nothing happened to them: the reserve does not count as a delivery."""
        ...

    def defer(self, due: Mapping[Tag, float]) -> None:
        """To the broker's delayed store until these epoch seconds; the reserve does not count as a delivery."""
        ...

    def bury(self, letters: Mapping[Tag, Burial]) -> None: ...
    def renew(self) -> Tags:
        """Prolong every lease; returns the tags that were lost meanwhile."""
        ...

    def recover(self) -> Recovered:
        """Take back what consumers that have died still held."""
        ...

    def listen_to(self, add: Sequence[str] = (), drop: Sequence[str] = ()) -> None:
        """Raises QueueRefused: then it goes on with the queues that it had."""
        ...

    def wake(self) -> None:
        """End a `receive` that waits."""
        ...

    def close(self) -> None:
        """Give back everything not begun."""
        ...


class Transport(Protocol):
    """A broker. Any thread; connects lazily; raises OperationalError naming the broker."""

    features: Features
    facts: Facts
    dead: DeadLetters

    def declare(self, queues: Sequence[Queue]) -> None:
        """Raises QueueRefused, and ImproperlyConfigured or NotSupported for what no broker of its kind takes."""
        ...

    def publish(self, batch: Sequence[Outgoing], *, wait: Wait = "stored", deadline: float = 5.0) -> None:
        """All of the batch or none. `deadline` is seconds from now."""
        ...

    def flush(self, deadline: float) -> int:
        """Wait for what was only written; returns how many are still unconfirmed."""
        ...

    def consume(self, queues: Sequence[str]) -> Consumer: ...
    def subscribe(self, exchange: Exchange, pattern: str, queue: str | Queue = "") -> Subscription:
        """Hear what is published to `exchange` from now on; `pattern` is `*`, `#` and words, `#` hears all.

        On a direct exchange it is the routing key, and `queue` the name of the queue that is bound to it for as long as
        the subscription lives, or all that is to be declared of it; brokers that need no queue ignore it. The default
        exchange `""` leads to the queue that is named like the key.
        """
        ...

    def announce(
        self,
        exchange: Exchange,
        routing_key: str,
        envelopes: Sequence[bytes],
        *,
        confirmed: bool = False,
        expires: float | None = None,
    ) -> None:
        """Publish to the subscriptions on `exchange` (control, replies, events, results); at most once.

        `confirmed`: the broker has them when this returns. After `expires` seconds without a reader it may drop them.
        """
        ...

    def queues(self, names: Sequence[str] | None = None) -> dict[str, QueueInfo]: ...
    def purge(self, queue: str) -> int:
        """Drop what is ready or delayed; returns how many."""
        ...

    def find(self, task_id: str) -> Whereabouts | None: ...
    def locate(self, task_ids: Collection[str]) -> dict[str, Whereabouts]:
        """`find` for many at the price of one look; what is dead or nowhere is left out."""
        ...

    def delayed(self, queues: Sequence[str], limit: int) -> Sequence[Delayed]:
        """What waits in these queues for its time, soonest first."""
        ...

    def describe(self) -> str:
        """The broker for people: secrets masked, a file by its absolute path."""
        ...

    def hand_back(self, *, dead: bool) -> HandedBack:
        """Return to plain queues what only workers of ours know of, and forget everything else.

        `dead`: dead letters are returned, too. Raises NotSupported where nobody else could read the broker,
        OperationalError while a worker of ours runs.
        """
        ...

    def advice(self) -> Sequence[str]:
        """What its operator should know before it loses something, a line each; mostly nothing."""
        ...

    def after_fork(self) -> None:
        """Forget inherited sockets and files, never close them."""
        ...

    def close(self) -> None: ...
