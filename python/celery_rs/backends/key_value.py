"""Results in what keeps values by key (a cache, a directory, a store of the user's own), under Celery's keys.

A record is one value, with its attempt in it. The rule is a step from the old value to the new one, which the store
takes so that nobody changes the value in between.
"""

import hashlib
import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

from celery_rs import states
from celery_rs.backends import chord_book
from celery_rs.backends.base import ChordClaim
from celery_rs.backends.instead import failure_instead
from celery_rs.backends.looking import watch_by_looking
from celery_rs.backends.peek import Told, read_record, standing
from celery_rs.errors import BackendError, BackendStoreError
from celery_rs.wire import (
    ChordPart,
    ResultCodec,
    TaskResult,
    supersedes,
    with_attempt,
)

logger = logging.getLogger(__name__)

HASHED = "celery-rs-"
_AT_ONCE = 500


class Kept(NamedTuple):
    """A value, and for how many seconds from now it is kept (None: for ever)."""

    value: bytes
    lasts: float | None


Step = Callable[[bytes | None], Kept | None]
"""From the value that is there (None: none) to the one that shall be; None leaves it. May be called repeatedly."""


class Values(Protocol):
    """Values by key. Any thread; connects lazily; raises BackendError naming the store."""

    def read(self, keys: Sequence[str]) -> Mapping[str, bytes]:
        """Those there are, but for what has expired."""
        ...

    def change(self, steps: Mapping[str, Step]) -> Collection[str]:
        """Take a step with each; returns the keys whose new values are too large for the store."""
        ...

    def drop(self, keys: Sequence[str]) -> None: ...
    def sweep(self) -> None:
        """Delete what has expired."""
        ...

    def describe(self) -> str: ...
    def after_fork(self) -> None: ...
    def close(self) -> None: ...


class Keys(NamedTuple):
    """Where things are: on Celery's keys, chords on one of our own."""

    prefix: str = ""

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> "Keys":
        """What `global_keyprefix` in result_backend_transport_options says, written as Celery does."""
        given = str(options.get("global_keyprefix") or "")
        return cls(given if not given or given[-1] in ":_-." else f"{given}_")

    def task(self, task_id: str) -> str:
        return f"{self.prefix}celery-task-meta-{task_id}"

    def group(self, group: str) -> str:
        return f"{self.prefix}celery-taskset-meta-{group}"

    def chord(self, group: str) -> str:
        return f"{self.prefix}celery-taskset-meta-{group}.book"


def hashed(key: str) -> str:
    """Stands for a key that the store cannot have; nor could Celery, so there is nobody to agree with."""
    return f"{HASHED}{hashlib.sha256(key.encode(errors='surrogatepass')).hexdigest()}"


class Lasting(NamedTuple):
    """For how many seconds records are kept (None: for ever); failures may have a time of their own (0: for ever)."""

    expires: float | None
    failure_expires: float | None

    def of(self, state: str) -> float | None:
        chosen = self.failure_expires if state == states.FAILURE else None
        return (self.expires if chosen is None else chosen) or None


class KeyValueBackend:
    """See `backends.base.ResultBackend`. `codec` is what records are written by; `wait` pauses who watches."""

    def __init__(
        self,
        values: Values,
        keys: Keys,
        lasting: Lasting,
        codec: ResultCodec,
        *,
        place: Literal["parent", "child"] = "child",
        clock: Callable[[], float] = time.time,
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        self.place = place
        self._values = values
        self._keys = keys
        self._lasting = lasting
        self._codec = codec
        self._clock = clock
        self._wait = wait
        self._book = chord_book.ChordBook(self._change_page, clock)

    # Records

    def store(self, records: Sequence[TaskResult]) -> Sequence[bool]:
        written: list[bool] = []
        for start in range(0, len(records), _AT_ONCE):
            written += self._store(records[start : start + _AT_ONCE])
        return written

    def _store(self, records: Sequence[TaskResult]) -> list[bool]:
        turns = {
            self._keys.task(of_one[0].task_id): Turn(of_one, self._lasting, self._codec) for of_one in _by_task(records)
        }
        for key in self._values.change(turns):
            self._say_instead(key, turns[key])
        verdicts = {turn.task_id: iter(turn.written) for turn in turns.values()}
        return [next(verdicts[record.task_id]) for record in records]

    def _say_instead(self, key: str, turn: "Turn") -> None:
        """A result that is too large is a failure that says so; progress that is too large is not kept."""
        refused, turn.written = turn.last, [False] * len(turn.records)
        if refused is None:
            return
        what = f"{self.describe()} takes no value as large as the record of task {refused.task_id}"
        logger.error("%s: it is in state %s and has %d bytes", what, refused.state, len(refused.meta))
        if refused.state in states.READY_STATES:
            told = BackendStoreError(f"{what}, which has {len(refused.meta)} bytes")
            failure = failure_instead(turn.task_id, told, now=self._clock(), codec=self._codec, attempt=refused.attempt)
            if self._values.change({key: Turn([failure], self._lasting, self._codec)}):
                raise BackendError(f"{what}, not even one that says so")

    def fetch(self, ids: Collection[str]) -> dict[str, TaskResult]:
        found: dict[str, TaskResult] = {}
        listed = list(ids)
        for start in range(0, len(listed), _AT_ONCE):
            keys = {self._keys.task(task_id): task_id for task_id in listed[start : start + _AT_ONCE]}
            for key, raw in self._values.read(list(keys)).items():
                found[keys[key]] = read_record(keys[key], raw, self._codec.serializer)
        return found

    def watch(self, ids: Collection[str], timeout: float | None) -> Iterator[TaskResult]:
        return watch_by_looking(self.fetch, ids, timeout, self._wait)

    def forget(self, ids: Collection[str]) -> None:
        if ids:
            self._values.drop([self._keys.task(task_id) for task_id in ids])

    # Groups and chords

    def save_group(self, group: str, meta: bytes) -> None:
        kept = Kept(meta, self._lasting.of(states.SUCCESS))
        if self._values.change({self._keys.group(group): lambda _: kept}):
            raise BackendError(f"{self.describe()} takes no value as large as group {group!r}: {len(meta)} bytes")

    def fetch_group(self, group: str) -> bytes | None:
        key = self._keys.group(group)
        return self._values.read([key]).get(key)

    def forget_group(self, group: str) -> None:
        self._values.drop([self._keys.group(group)])

    def open_chord(self, group: str, size: int) -> None:
        self._book.open_chord(group, size)

    def claim_chords(self, parts: Sequence[ChordPart], claim_s: float) -> Sequence[ChordClaim]:
        return self._book.claim_chords(parts, claim_s)

    def _change_page(self, group: str, step: chord_book.Step) -> None:
        def keep(old: bytes | None) -> Kept | None:
            new = step(old)
            return None if new is None else Kept(new, self._lasting.of(states.SUCCESS))

        if self._values.change({self._keys.chord(group): keep}):
            raise BackendError(
                f"{self.describe()} takes no value as large as the results of chord {group!r}; "
                "have its tasks return less, or keep results in redis:// or db+...://"
            )

    # The end

    def cleanup(self) -> None:
        self._values.sweep()

    def describe(self) -> str:
        return self._values.describe()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.describe()}>"

    def after_fork(self) -> None:
        self._values.after_fork()

    def close(self) -> None:
        self._values.close()


class Turn:
    """The step that records of one task take, in their order.

    `written` says of each whether it counted, and `last` is the last that did.
    """

    def __init__(self, records: Sequence[TaskResult], lasting: Lasting, codec: ResultCodec) -> None:
        self.records = records
        self.task_id = records[0].task_id
        self.written: list[bool] = []
        self.last: TaskResult | None = None
        self._lasting = lasting
        self._codec = codec

    def __call__(self, old: bytes | None) -> Kept | None:
        over = None if old is None else standing(old, self._codec.serializer)
        self.written, self.last = [], None
        for record in self.records:
            counts = over is None or supersedes(
                record.state, record.attempt, over=over.state, over_attempt=over.attempt
            )
            self.written.append(counts)
            if counts:
                over, self.last = Told(record.state, record.attempt), record
        last = self.last
        return None if last is None else Kept(with_attempt(last.meta, last.attempt), self._lasting.of(last.state))


def _by_task(records: Sequence[TaskResult]) -> list[list[TaskResult]]:
    by_task: dict[str, list[TaskResult]] = {}
    for record in records:
        by_task.setdefault(record.task_id, []).append(record)
    return list(by_task.values())
