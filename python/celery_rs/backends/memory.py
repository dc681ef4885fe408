"""The in-process result store: the reference implementation of `backends/base.py`.

Its records lie in the memory broker of the same name, under that broker's lock: so a consumer's `finish`
publishes, stores, counts and settles in one critical section.
"""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Literal

from celery_rs import states
from celery_rs.backends.base import ChordClaim
from celery_rs.backends.opening import Opening
from celery_rs.transports.memory import Broker
from celery_rs.wire import ChordPart, TaskResult


class MemoryBackend:
    """See `backends.base.ResultBackend`. Records go `expires` seconds after their last change (None: never).

    Failures go `failure_expires` seconds after theirs (0: never), or as other records do (None).
    """

    place: Literal["parent", "child"] = "parent"

    def __init__(
        self,
        name: str = "",
        *,
        expires: float | None = 86_400.0,
        failure_expires: float | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.broker = Broker.named(name, clock)
        self._results = self.broker.results
        self._results.expires = expires
        self._results.failure_expires = failure_expires

    def store(self, records: Sequence[TaskResult]) -> Sequence[bool]:
        with self.broker.locked():
            written = [self._results.store(record) for record in records]
            self.broker.changed.notify_all()
            return written

    def fetch(self, ids: Collection[str]) -> dict[str, TaskResult]:
        with self.broker.locked():
            found = ((task_id, self._results.get(task_id)) for task_id in ids)
            return {task_id: record for task_id, record in found if record is not None}

    def watch(self, ids: Collection[str], timeout: float | None) -> Iterator[TaskResult]:
        deadline = None if timeout is None else time.monotonic() + timeout
        awaited = set(ids)
        while awaited:
            # The lock is not held while the caller looks at a record.
            ready = self._wait_for_ready(awaited, deadline)
            if not ready:
                return
            awaited -= ready.keys()
            yield from ready.values()

    def _wait_for_ready(self, ids: Collection[str], deadline: float | None) -> dict[str, TaskResult]:
        """Those that are ready, waiting for the first; empty at the deadline."""
        with self.broker.locked():
            while True:
                records = self.fetch(ids).values()
                ready = {record.task_id: record for record in records if record.state in states.READY_STATES}
                left = None if deadline is None else deadline - time.monotonic()
                if ready or (left is not None and left <= 0):
                    return ready
                self.broker.changed.wait(left)

    def forget(self, ids: Collection[str]) -> None:
        with self.broker.locked():
            for task_id in ids:
                self._results.forget(task_id)

    def save_group(self, group: str, meta: bytes) -> None:
        with self.broker.locked():
            self._results.save_group(group, meta)

    def fetch_group(self, group: str) -> bytes | None:
        with self.broker.locked():
            return self._results.group(group)

    def forget_group(self, group: str) -> None:
        with self.broker.locked():
            self._results.forget_group(group)

    def cleanup(self) -> None:
        with self.broker.locked():
            self._results.expire()

    def open_chord(self, group: str, size: int) -> None:
        with self.broker.locked():
            self._results.open_chord(group, size)

    def claim_chords(self, parts: Sequence[ChordPart], claim_s: float) -> Sequence[ChordClaim]:
        claims = []
        with self.broker.locked():
            for part in parts:
                self._results.count(part)
            for group in dict.fromkeys(part.group for part in parts):
                claim = self._results.claim(group, claim_s)
                if claim is not None:
                    claims.append(MemoryChordClaim(self.broker, group, self._results.parts(group), claim))
        return claims

    def describe(self) -> str:
        return str(self.broker)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.describe()}>"

    def after_fork(self) -> None:
        """Nothing to forget: every call from a child is refused, since it would talk to a copy."""

    def close(self) -> None:
        """The records stay for others of the same name."""


def open_store(opening: Opening) -> MemoryBackend:
    name = opening.url.partition("://")[2]
    return MemoryBackend(name, expires=opening.expires, failure_expires=opening.failure_expires)


class MemoryChordClaim:
    """See `backends.base.ChordClaim`. `claim` is the token that tells this claim from a later one."""

    def __init__(self, broker: Broker, group: str, parts: Sequence[ChordPart], claim: object) -> None:
        self.group = group
        self.parts = parts
        self._broker = broker
        self._claim = claim

    def renew(self, claim_s: float) -> bool:
        with self._broker.locked():
            return self._broker.results.renew_claim(self.group, self._claim, claim_s)

    def close(self, published: bool) -> None:
        with self._broker.locked():
            self._broker.results.close_claim(self.group, self._claim, published)
