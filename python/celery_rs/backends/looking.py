"""Waiting for records in a store that tells nobody of them: look, and look again after pauses that grow.

A short task is heard of within milliseconds; a long one costs two looks a second.
"""

import time
from collections.abc import Callable, Collection, Iterator

from celery_rs import states
from celery_rs.wire import TaskResult

FIRST_S = 0.005
GROWTH = 1.4
MOST_S = 0.5
"""As long as Celery pauses."""

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
