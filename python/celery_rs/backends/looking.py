"""Waiting for records in a store that tells nobody of them: look, and look again after pauses that grow.

A short task is heard of within milliseconds; a long one costs two looks a second.
"""

import time
from collections.abc import Callable, Collection, Iterator

from celery_rs import states
from celery_rs.errors import BackendError
from celery_rs.wire import TaskResult

FIRST_S = 0.005
GROWTH = 1.4
MOST_S = 0.5
"""As long as Celery pauses."""
PATIENCE_S = 20.0
"""How long who waits does without a store that has answered before."""

Fetch = Callable[[Collection[str]], dict[str, TaskResult]]
Wait = Callable[[float], object]


def watch_by_looking(fetch: Fetch, ids: Collection[str], timeout: float | None, wait: Wait) -> Iterator[TaskResult]:
    """See `ResultBackend.watch`. `wait` pauses for so many seconds, or for less when there may be something to see.

    It returns True for that; the next pause is then as short as the first.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    awaited = set(ids)
    pause = FIRST_S
    while awaited:
        ready = [record for record in fetch(awaited).values() if record.state in states.READY_STATES]
        awaited.difference_update(record.task_id for record in ready)
        yield from ready
        left = pause if deadline is None else min(pause, deadline - time.monotonic())
        if not awaited or left <= 0:
            return
        told = wait(left)
        pause = FIRST_S if told or ready else min(pause * GROWTH, MOST_S)


class Patient:
    """Fetches for one who waits: once it has worked, a store that raises `unreachable` shows nothing for a while."""

    def __init__(self, fetch: Fetch, unreachable: type[BackendError]) -> None:
        self._fetch = fetch
        self._unreachable = unreachable
        self._failing_since: float | None = None
        self._has_worked = False

    def __call__(self, ids: Collection[str]) -> dict[str, TaskResult]:
        try:
            found = self._fetch(ids)
        except self._unreachable:
            now = time.monotonic()
            self._failing_since = self._failing_since or now
            if not self._has_worked or now - self._failing_since > PATIENCE_S:
                raise
            return {}
        self._has_worked, self._failing_since = True, None
        return found
