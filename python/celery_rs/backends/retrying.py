"""A result store that is asked again when it fails, for clients (result_backend_always_retry).

Workers do without: their completer repeats every write until it works or the worker gives up.
"""

import time
from collections.abc import Callable, Collection, Iterator
from typing import Any, NamedTuple, TypeVar

from celery_rs.backends.base import ResultBackend
from celery_rs.errors import BackendError
from celery_rs.transports import Backoff
from celery_rs.wire import TaskResult

R = TypeVar("R")


class Patience(NamedTuple):
    """How often to ask again (infinity: for ever), after pauses that double from `first_s` to `most_s` seconds."""

    most_retries: float
    first_s: float
    most_s: float


class RetryingBackend:
    """See `backends.base.ResultBackend`; what asks for records and groups is repeated, all else is the store's own."""

    def __init__(
        self, store: ResultBackend, patience: Patience, *, sleep: Callable[[float], object] = time.sleep
    ) -> None:
        self._store = store
        self._patience = patience
        self._sleep = sleep

    def fetch(self, ids: Collection[str]) -> dict[str, TaskResult]:
        return self._patiently(lambda: self._store.fetch(ids))

    def forget(self, ids: Collection[str]) -> None:
        self._patiently(lambda: self._store.forget(ids))

    def save_group(self, group: str, meta: bytes) -> None:
        self._patiently(lambda: self._store.save_group(group, meta))

    def fetch_group(self, group: str) -> bytes | None:
        return self._patiently(lambda: self._store.fetch_group(group))

    def forget_group(self, group: str) -> None:
        self._patiently(lambda: self._store.forget_group(group))

    def watch(self, ids: Collection[str], timeout: float | None) -> Iterator[TaskResult]:
        """A failure takes from the timeout; what was ready before it is not repeated."""
        deadline = None if timeout is None else time.monotonic() + timeout
        awaited = set(ids)
        tries = _Tries(self._patience)
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                for record in self._store.watch(awaited, left):
                    awaited.discard(record.task_id)
                    yield record
                return
            except BackendError:
                pause = tries.pause()
                if pause is None or left == 0.0:
                    raise
                self._sleep(pause if left is None else min(pause, left))

    def _patiently(self, ask: Callable[[], R]) -> R:
        tries = _Tries(self._patience)
        while True:
            try:
                return ask()
            except BackendError:
                pause = tries.pause()
                if pause is None:
                    raise
                self._sleep(pause)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def __repr__(self) -> str:
        return repr(self._store)


class _Tries:
    def __init__(self, patience: Patience) -> None:
        self._left = patience.most_retries
        self._backoff = Backoff(patience.first_s, patience.most_s)

    def pause(self) -> float | None:
        """Seconds to wait before the next try; None when there is none."""
        self._left -= 1
        return None if self._left < 0 else self._backoff.next()
