"""The records and chord counts that live beside an in-process broker.

They live on this floor because `Consumer.finish` writes them in the same critical section as the
settlement; the result store proper is `backends/memory.py`. Callers hold the broker's lock.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import TypeVar

from celery_rs import states
from celery_rs.wire import ChordPart, TaskResult, supersedes

T = TypeVar("T")

DAY_S = 86_400.0


@dataclass(slots=True)
class Chord:
    """A chord's header so far. `size` is None until it is opened; parts may be counted before that."""

    touched_at: float
    size: int | None = None
    parts: dict[str, ChordPart] = field(default_factory=dict)
    claim: object | None = None
    claimed_until: float = 0.0
    published: bool = False

    def is_claimable(self, now: float) -> bool:
        complete = self.size is not None and len(self.parts) >= self.size
        return complete and not self.published and self.claimed_until <= now


class ResultRecords:
    """Records by task id, groups and chords by theirs, gone `expires` seconds after their last change (None: never).

    Failures are forgotten `failure_expires` seconds after theirs (0: never), or as other records are (None).
    """

    def __init__(self, clock: Callable[[], float], expires: float | None = DAY_S) -> None:
        self.expires = expires
        self.failure_expires: float | None = None
        self._clock = clock
        # Each in the order of its last change, so that what expires is always in front.
        self._records: dict[str, tuple[TaskResult, float]] = {}
        self._failures: dict[str, tuple[TaskResult, float]] = {}
        self._groups: dict[str, tuple[bytes, float]] = {}
        self._chords: dict[str, Chord] = {}

    def store(self, record: TaskResult) -> bool:
        """Write it unless it would go backwards; says whether it was written."""
        self.expire()
        known = self.get(record.task_id)
        if known and not supersedes(record.state, record.attempt, over=known.state, over_attempt=known.attempt):
            return False
        self.forget(record.task_id)
        apart = record.state == states.FAILURE and self.failure_expires is not None
        (self._failures if apart else self._records)[record.task_id] = (record, self._clock())
        return True

    def get(self, task_id: str) -> TaskResult | None:
        self.expire()
        found = self._records.get(task_id) or self._failures.get(task_id)
        return found[0] if found else None

    def forget(self, task_id: str) -> None:
        self._records.pop(task_id, None)
        self._failures.pop(task_id, None)

    def save_group(self, group: str, meta: bytes) -> None:
        self.expire()
        self.forget_group(group)
        self._groups[group] = (meta, self._clock())

    def group(self, group: str) -> bytes | None:
        self.expire()
        found = self._groups.get(group)
        return found[0] if found else None

    def forget_group(self, group: str) -> None:
        self._groups.pop(group, None)

    def open_chord(self, group: str, size: int) -> None:
        self._chord(group).size = size

    def count(self, part: ChordPart) -> None:
        """Count one finished member; the first report of a member stands."""
        chord = self._chord(part.group)
        if not chord.published:
            chord.parts.setdefault(part.task_id, part)

    def claim(self, group: str, claim_s: float) -> object | None:
        """A token for the right to publish the body, or None: incomplete, published, or claimed by somebody."""
        now = self._clock()
        chord = self._chords.get(group)
        if chord is None or not chord.is_claimable(now):
            return None
        chord.claim, chord.claimed_until = object(), now + claim_s
        return chord.claim

    def parts(self, group: str) -> Sequence[ChordPart]:
        """In the header's order."""
        return sorted(self._chords[group].parts.values(), key=lambda part: (part.index is None, part.index or 0))

    def renew_claim(self, group: str, claim: object, claim_s: float) -> bool:
        """False once somebody else has claimed the chord, or it is over."""
        chord = self._chords.get(group)
        if chord is None or chord.claim is not claim:
            return False
        chord.claimed_until = self._clock() + claim_s
        return True

    def close_claim(self, group: str, claim: object, published: bool) -> None:
        chord = self._chords.get(group)
        if chord is None or chord.claim is not claim:
            return
        chord.claim, chord.claimed_until = None, 0.0
        if published:
            # The chord itself stays until it expires: a part that is reported again must not reopen it.
            chord.published = True
            chord.parts.clear()

    def _chord(self, group: str) -> Chord:
        self.expire()
        chord = self._chords.pop(group, None) or Chord(self._clock())
        chord.touched_at = self._clock()
        self._chords[group] = chord
        return chord

    def expire(self) -> None:
        """Drop what has not changed for long enough."""
        _drop_older(self._failures, self._clock(), self.failure_expires)
        _drop_older(self._records, self._clock(), self.expires)
        _drop_older(self._groups, self._clock(), self.expires)
        if self.expires is None:
            return
        horizon = self._clock() - self.expires
        for group in list(takewhile(lambda key: self._chords[key].touched_at <= horizon, self._chords)):
            del self._chords[group]


def _drop_older(kept: dict[str, tuple[T, float]], now: float, lasts: float | None) -> None:
    if lasts:
        for key in list(takewhile(lambda key: kept[key][1] <= now - lasts, kept)):
            del kept[key]
