"""What happens to a delivery: ready, parked, deferred, buried or over (pure).

    cannot be read, unknown, crashed or delivered too often → dead letter
    revoked, or expired                                     → recorded as revoked
    ETA beyond a few seconds                                → back to the broker's delayed store
    ETA within seconds                                      → parked
    no token of its rate limit for seconds                  → parked, or deferred if too many are
    no token for less than that                             → parked; if too many are, they count as in hand
    otherwise                                               → ready, by urgency, then age

A parked job passes the same gate again when it is due, so each rule exists once. Every delivery is in exactly
one of *ready*, *parked*, *out* (with the pool) and *unsettled* (with the completer) until its end is settled.
"""

import math
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from celery_rs._core import Envelope, RateLimiter
from celery_rs.errors import NotRegistered, TaskRevokedError, WorkerLostError
from celery_rs.transports import Delivery, Tag
from celery_rs.worker.parking import Parking
from celery_rs.worker.policy import Policy
from celery_rs.worker.revokes import Match, Revokes

NEAR_S = 3.0
"""An ETA or a token within this many seconds is waited for here."""
PARKED_MOST = 1000
"""More parked jobs than this are deferred to the broker instead, or no more are received until some have gone."""
BOOKED_MOST = 100_000
"""Jobs that left with their token taken: the number that is remembered."""
DEFER_MOST_S = 300.0
"""A rate-limited job comes back at least this often, so that a changed limit is noticed."""


class Moment(NamedTuple):
    """Now, by both clocks: `wall` for ETAs and expiry, `mono` for everything else."""

    wall: float
    mono: float


class Caps(NamedTuple):
    """How often a message may kill its runner, and be delivered at all; how many may wait here for their ETA."""

    crashes: int = 3
    deliveries: int = 20
    etas: int = PARKED_MOST


class Entry:
    """One delivery in the worker's hands. `key` names it inside this worker; `tag` is what the broker knows."""

    __slots__ = ("begun", "envelope", "key", "own", "paid", "policy", "queue", "redelivered", "since", "tag", "task")

    def __init__(self, delivery: Delivery, envelope: Envelope, policy: Policy, since: float) -> None:
        self.key: Tag = delivery.tag
        self.tag: Tag = delivery.tag
        self.envelope = envelope
        self.task = envelope.task
        """Kept, since each look at an envelope's makes another text."""
        self.queue = delivery.queue
        self.redelivered = delivery.redelivered
        self.policy = policy
        self.since = since
        self.paid = False
        self.begun = False
        self.own: Any = None
        """The request of the class that the task names, once it has been told something."""

    @property
    def has_limits(self) -> bool:
        """Whether there may be a soft or a hard one: a quicker look than those at both."""
        policy = self.policy
        return self.envelope.is_timed or policy.soft_limit is not None or policy.hard_limit is not None

    @property
    def soft_limit(self) -> float | None:
        limit = self.envelope.soft_limit
        return self.policy.soft_limit if limit is None else limit

    @property
    def hard_limit(self) -> float | None:
        limit = self.envelope.hard_limit
        return self.policy.hard_limit if limit is None else limit


class Dead(NamedTuple):
    """A delivery to bury. `error` is what a waiting caller gets, if the message told its id."""

    delivery: Delivery
    reason: str
    detail: str
    error: Exception | None


class Expired(NamedTuple):
    entry: Entry
    error: Exception


class Revoked(NamedTuple):
    """An entry that was revoked before it started, by its id or by these stamps."""

    entry: Entry
    stamps: Mapping[str, Any] | None


class Rulings:
    """What the gate decided about the deliveries that do not stay here."""

    __slots__ = ("dead", "deferred", "expired", "received", "revoked")

    def __init__(self) -> None:
        self.received: list[Entry] = []
        self.dead: list[Dead] = []
        self.expired: list[Expired] = []
        self.revoked: list[Revoked] = []
        self.deferred: dict[Tag, float] = {}


class Dispatcher:
    """Owns every delivery of the worker; belongs to the loop."""

    def __init__(
        self,
        policies: dict[str, Policy],
        limiter: RateLimiter,
        caps: Caps,
        revokes: Revokes | None = None,
        *,
        urgency: Callable[[int], int] = int,
    ) -> None:
        """`urgency` of a priority: the greater, the sooner. By itself a priority is its own."""
        self._urgency = urgency
        self._policies = policies
        self._limiter = limiter
        self._caps = caps
        self.revokes = revokes or Revokes()
        self._revoked: list[Revoked] = []  # found outside the gate; `release` tells of them
        self._displaced: list[tuple[float, Entry]] = []  # from the parking, and until when
        self._ready: dict[int, deque[Entry]] = {}
        self._ready_count = 0
        self._parking: Parking[Entry] = Parking()
        self._out: dict[Tag, Entry] = {}
        self._unsettled: set[Tag] = set()
        self._lost: dict[Tag, Entry] = {}  # what is out under tags that are no longer ours
        self._unbegun = 0
        self._first_expiry = math.inf  # of what is ready, by the wall clock; early where that has gone already
        self._booked: OrderedDict[str, tuple[str, float]] = OrderedDict()

    # -- counts

    @property
    def ready(self) -> int:
        return self._ready_count

    @property
    def parked(self) -> int:
        return len(self._parking)

    @property
    def out(self) -> Mapping[Tag, Entry]:
        """What the pool has, by key."""
        return self._out

    @property
    def unbegun(self) -> int:
        """How many the pool has that are not on record as begun."""
        return self._unbegun

    @property
    def in_hand(self) -> int:
        """What counts against the window: all but the parked, unless too many are."""
        crowd = max(0, len(self._parking) - PARKED_MOST)
        return self._ready_count + len(self._out) + len(self._unsettled) + crowd

    def parked_until(self) -> float | None:
        return self._parking.soonest()

    def waiting(self) -> Iterator[Entry]:
        """Everything here that the pool does not have."""
        for lane in self._ready.values():
            yield from lane
        yield from self._parking

    def set_time_limits(self, task: str, soft: float | None, hard: float | None) -> None:
        """The limits of this task's calls from now on, but of those that name their own."""
        policy = self._policies[task]._replace(soft_limit=soft, hard_limit=hard)
        self._policies[task] = policy
        for entry in self.waiting():
            if entry.envelope.task == task:
                entry.policy = policy

    # -- the gate

    def admit(self, deliveries: Iterable[Delivery], now: Moment) -> Rulings:
        """Take in what the receiver brought."""
        rulings = Rulings()
        for delivery in deliveries:
            envelope = delivery.envelope
            if type(envelope) is not Envelope:
                rulings.dead.append(Dead(delivery, "undecodable", envelope.reason, None))
            elif (policy := self._policies.get(envelope.task)) is None:
                unknown = NotRegistered(envelope.task)
                rulings.dead.append(Dead(delivery, "unknown-task", str(unknown), unknown))
            elif self._lost and self._adopt(delivery, envelope):
                continue
            elif (dead := self._worn_out(delivery, envelope)) is not None:
                rulings.dead.append(dead)
            else:
                entry = Entry(delivery, envelope, policy, now.mono)
                rulings.received.append(entry)
                self._gate(entry, now, rulings)
        return rulings

    def release(self, now: Moment) -> Rulings:
        """Let what was parked and is due pass the gate again, and nothing expired be ready."""
        rulings = Rulings()
        if self._revoked:
            rulings.revoked, self._revoked = self._revoked, []
        for due, entry in self._displaced:
            self._defer(entry, now.wall + min(due - now.mono, DEFER_MOST_S), rulings)
        self._displaced.clear()
        for entry in self._parking.due(now.mono):
            self._gate(entry, now, rulings)
        if now.wall >= self._first_expiry:
            self._expire_ready(now.wall, rulings)
        return rulings

    def _gate(self, entry: Entry, now: Moment, rulings: Rulings) -> None:
        envelope = entry.envelope
        if self.revokes.active and (match := self.revokes.match(envelope, now.wall)) is not None:
            rulings.revoked.append(self._revoke(entry, match))
        elif not envelope.is_timed:
            if self._affords(entry, now, rulings):
                self._ready_lane(entry).append(entry)
        elif envelope.expires is not None and envelope.expires <= now.wall:
            self._expire(entry, rulings)
        elif envelope.eta is not None and envelope.eta > now.wall:
            if envelope.eta - now.wall > NEAR_S or len(self._parking) >= self._caps.etas:
                self._defer(entry, envelope.eta, rulings)
            else:
                self._parking.hold(entry, until=now.mono + envelope.eta - now.wall)
        elif not self._affords(entry, now, rulings):
            return
        else:
            self._ready_lane(entry).append(entry)

    def _ready_lane(self, entry: Entry) -> deque[Entry]:
        """Where to put an entry that is ready now; it is counted already."""
        self._ready_count += 1
        envelope = entry.envelope
        if envelope.is_timed and envelope.expires is not None:
            self._first_expiry = min(self._first_expiry, envelope.expires)
        urgency = self._urgency(envelope.priority)
        lane = self._ready.get(urgency)
        if lane is None:
            lane = self._ready[urgency] = deque()
        return lane

    def _expire_ready(self, wall: float, rulings: Rulings) -> None:
        def has_expired(entry: Entry) -> bool:
            return entry.envelope.expires is not None and entry.envelope.expires <= wall

        for entry in self._drop_ready(has_expired):
            self._expire(entry, rulings)
        times = [entry.envelope.expires for lane in self._ready.values() for entry in lane]
        self._first_expiry = min((when for when in times if when is not None), default=math.inf)

    def _expire(self, entry: Entry, rulings: Rulings) -> None:
        self._unsettled.add(entry.tag)
        rulings.expired.append(Expired(entry, TaskRevokedError("expired")))

    def _revoke(self, entry: Entry, match: Match) -> Revoked:
        self._unsettled.add(entry.tag)
        return Revoked(entry, match.stamps)

    def is_revoked(self, entry: Entry, wall: float) -> Revoked | None:
        """Whether the entry was revoked, at whatever stage it is."""
        match = self.revokes.match(entry.envelope, wall) if self.revokes.active else None
        return None if match is None else Revoked(entry, match.stamps)

    def recheck(self, wall: float) -> None:
        """Something was revoked: drop what is ready or parked here; the next `release` tells of it."""

        def is_revoked(entry: Entry) -> bool:
            return self.revokes.match(entry.envelope, wall) is not None

        parked = [entry for _, entry in self._parking.drop(is_revoked)]
        for entry in (*self._drop_ready(is_revoked), *parked):
            match = self.revokes.match(entry.envelope, wall)
            if match is not None:
                self._revoked.append(self._revoke(entry, match))

    def _affords(self, entry: Entry, now: Moment, rulings: Rulings) -> bool:
        """Whether the entry has its token; otherwise it has been parked or deferred."""
        task = entry.task
        if entry.paid or not (rate := self._limiter.rate(task)):
            return True
        booked = self._booked.pop(_call(entry), None)
        due = booked[1] if booked is not None else self._limiter.book(task, now.mono)
        entry.paid = True
        if due <= now.mono:
            return True
        wait, near = due - now.mono, PARKED_MOST / rate
        if wait <= NEAR_S or (wait <= near and len(self._parking) < PARKED_MOST):
            self._parking.hold(entry, until=due, lane=task)
            return False
        self._remember_token(entry, due)
        # Back before its turn, and near enough to find a place: no broker is exact to the token.
        away = wait - near / 2 if wait > near else wait
        self._defer(entry, now.wall + min(away, DEFER_MOST_S), rulings)
        return False

    def _remember_token(self, entry: Entry, due: float) -> None:
        """The entry leaves with its token taken: when it comes back it must not pay again."""
        self._booked[_call(entry)] = (entry.envelope.task, due)
        if len(self._booked) > BOOKED_MOST:
            self._booked.popitem(last=False)

    def _defer(self, entry: Entry, until: float, rulings: Rulings) -> None:
        self._unsettled.add(entry.tag)
        rulings.deferred[entry.tag] = until

    def _worn_out(self, delivery: Delivery, envelope: Envelope) -> Dead | None:
        if delivery.crashes >= self._caps.crashes:
            detail = f"its runner died {delivery.crashes} times, task_max_crashes is {self._caps.crashes}"
            return Dead(delivery, "crashes", detail, WorkerLostError(detail))
        if delivery.deliveries > self._caps.deliveries:
            detail = f"it was delivered {delivery.deliveries} times, task_max_deliveries is {self._caps.deliveries}"
            return Dead(delivery, "deliveries", detail, WorkerLostError(detail))
        return None

    def _adopt(self, delivery: Delivery, envelope: Envelope) -> bool:
        """Swap the tag of a job that still runs here under a tag that we have lost: nothing runs twice."""
        for lost, entry in self._lost.items():
            if entry.envelope.id == envelope.id and entry.envelope.retries == envelope.retries:
                del self._lost[lost]
                entry.tag = delivery.tag
                # The broker does not know yet that this delivery has begun.
                self._unbegun += entry.begun
                entry.begun = False
                return True
        return False

    # -- to the pool and back

    def front(self) -> str | None:
        """The task that is next."""
        for urgency in sorted(self._ready, reverse=True):
            return self._ready[urgency][0].task
        return None

    def take(self, room: int, task: str, fits: Callable[[str], bool] = lambda task: False) -> list[Entry]:
        """The next entries for the pool, at most `room`, as long as they are of `task` or of one that `fits`."""
        taken: list[Entry] = []
        out = self._out
        for urgency in sorted(self._ready, reverse=True):
            lane = self._ready[urgency]
            while lane and len(taken) < room and ((name := lane[0].task) == task or fits(name)):
                entry = lane.popleft()
                out[entry.key] = entry
                taken.append(entry)
            if lane:
                break
            del self._ready[urgency]
        self._ready_count -= len(taken)
        self._unbegun += len(taken)
        return taken

    def returned(self, keys: Sequence[Tag], wall: float) -> None:
        """The pool gave these back unstarted: they are next again, in their order, unless they are somebody else's.

        What was revoked meanwhile (`wall` is now) goes no further.
        """
        revokes = self.revokes
        for key in reversed(keys):
            entry = self._out.pop(key)
            self._unbegun -= not entry.begun
            entry.begun = False
            if self._lost.pop(entry.tag, None) is not None:
                continue
            if revokes.active and (match := revokes.match(entry.envelope, wall)) is not None:
                self._revoked.append(self._revoke(entry, match))
            else:
                self._ready_lane(entry).appendleft(entry)

    def begin(self, entry: Entry) -> None:
        """The entry runs, and that is being put on record."""
        entry.begun = True
        self._unbegun -= 1

    def ended(self, key: Tag) -> Entry:
        """A job is over; its entry counts as in hand until it is settled."""
        entry = self._out.pop(key)
        self._unsettled.add(entry.tag)
        if self._lost:
            self._lost.pop(entry.tag, None)
        self._unbegun -= not entry.begun
        return entry

    def settled(self, tags: Iterable[Tag]) -> None:
        self._unsettled.difference_update(tags)

    def bury(self, tags: Iterable[Tag]) -> None:
        """Count what is on its way to the dead letters as unsettled."""
        self._unsettled.update(tags)

    def lose(self, tags: Iterable[Tag]) -> None:
        """Somebody else holds these now: forget what has not started; what runs may be adopted, or commits nothing.

        A broker may also take back what has waited here for long: when it comes again it has its token.
        """
        lost = set(tags)
        if not lost:
            return
        self._lost.update({entry.tag: entry for entry in self._out.values() if entry.tag in lost})
        ready = self._drop_ready(lambda entry: entry.tag in lost)
        parked = self._parking.drop(lambda entry: entry.tag in lost)
        for due, entry in (*((-math.inf, entry) for entry in ready), *parked):
            if entry.paid:
                self._remember_token(entry, due)

    def _drop_ready(self, unwanted: Callable[[Entry], bool]) -> list[Entry]:
        dropped: list[Entry] = []
        for urgency, lane in list(self._ready.items()):
            kept: deque[Entry] = deque()
            for entry in lane:
                (dropped if unwanted(entry) else kept).append(entry)
            if kept:
                self._ready[urgency] = kept
            else:
                del self._ready[urgency]
        self._ready_count -= len(dropped)
        return dropped

    def let_go(self) -> list[Entry]:
        """Give up everything that is ready or parked, next first; it counts as unsettled until it is back."""
        entries = [entry for urgency in sorted(self._ready, reverse=True) for entry in self._ready[urgency]]
        self._ready.clear()
        self._ready_count = 0
        for entry in entries:
            if entry.paid:
                self._remember_token(entry, -math.inf)
        entries += self._parking.clear()
        for entry in entries:
            self._unsettled.add(entry.tag)
        return entries

    def let_others_have(self) -> list[Entry]:
        """Give up what is ready, next first, but for what has paid for its token: that is due here and nowhere else."""
        given = self._drop_ready(lambda entry: not entry.paid)
        given.sort(key=lambda entry: self._urgency(entry.envelope.priority), reverse=True)
        self._unsettled.update(entry.tag for entry in given)
        return given

    def longest_wait(self, now: float) -> float:
        """How long the next ready entry that others may have has been here, in seconds."""
        for urgency in sorted(self._ready, reverse=True):
            for entry in self._ready[urgency]:
                if not entry.paid:
                    return now - entry.since
        return 0.0

    def rate_changed(self, task: str, old: float, new: float, now: float) -> None:
        """Tokens already booked for `task` come at the new rate (tokens per second; 0 = no limit)."""
        factor = old / new if old and new else 0.0
        self._parking.rescale(task, factor, now)
        if factor > 1:  # a crowd that was to be gone within seconds
            for due, entry in self._parking.shrink(PARKED_MOST):
                if entry.paid:
                    self._remember_token(entry, due)
                self._displaced.append((due, entry))
        for call, (booked_for, due) in self._booked.items():
            if booked_for == task and due > now:
                self._booked[call] = (task, now + (due - now) * factor)

    @property
    def idle(self) -> bool:
        """Nothing is left to run or to give back; writing what is unsettled is the completer's business."""
        return not (self._ready_count or self._out or len(self._parking))


def _call(entry: Entry) -> str:
    """What stays the same when a message comes back."""
    return f"{entry.envelope.id}.{entry.envelope.retries}"
