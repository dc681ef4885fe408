"""Waiting for many results at once: one thread per result store, whoever waits and for how many.

It serves `await result` and `result.then`. It starts when somebody waits, looks for newcomers twenty times a second,
and ends when nobody has waited for a while; then nothing here keeps the store. asyncio is not imported: who awaits has
done so.
"""

import logging
import os
import sys
import threading
from collections import defaultdict
from collections.abc import Callable
from typing import Any
from weakref import WeakValueDictionary

from celery_rs.backends import ResultBackend
from celery_rs.wire import TaskResult

log = logging.getLogger("celery_rs.results")

LOOK_S = 0.05
IDLE_S = 1.0

Tell = Callable[[TaskResult | Exception], None]


class Watcher:
    """Tells each who waits of the record once it is ready, or of the error that makes waiting senseless. Any thread."""

    def __init__(self, backend: ResultBackend) -> None:
        self._backend = backend
        self._waiting: defaultdict[str, list[Tell]] = defaultdict(list)
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def add(self, task_id: str, tell: Tell) -> None:
        with self._changed:
            self._waiting[task_id].append(tell)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="celery-rs-results", daemon=True)
                self._thread.start()
            self._changed.notify()

    def drop(self, task_id: str, tell: Tell) -> None:
        """Wait no more; harmless when it has been told."""
        with self._changed:
            tells = self._waiting.get(task_id)
            if tells is not None and tell in tells:
                tells.remove(tell)
                if not tells:
                    del self._waiting[task_id]

    def _run(self) -> None:
        while ids := self._awaited():
            try:
                for record in self._backend.watch(ids, LOOK_S):
                    self._deliver(record.task_id, record)
            except Exception as error:  # noqa: BLE001  (told to those who wait, who raise it)
                for task_id in ids:
                    self._deliver(task_id, error)

    def _awaited(self) -> list[str]:
        """The ids that somebody waits for; none when it is time to go."""
        with self._changed:
            if not self._waiting:
                self._changed.wait(IDLE_S)
            if not self._waiting:
                self._thread = None
            return list(self._waiting)

    def _deliver(self, task_id: str, what: TaskResult | Exception) -> None:
        with self._changed:
            tells = self._waiting.pop(task_id, [])
        for tell in tells:
            try:
                tell(what)
            except SystemExit:
                # It would end the thread without a word, and with it every other waiting.
                log.error("a callback of the result %s asked its thread to end; others wait in it", task_id)


_watchers: "WeakValueDictionary[int, Watcher]" = WeakValueDictionary()
"""By the id of the store, which lives as long as its watcher; that lives as long as its thread."""
_making = threading.Lock()


def watcher(backend: ResultBackend) -> Watcher:
    """The watcher of that store."""
    with _making:
        found = _watchers.get(id(backend))
        if found is None:
            found = _watchers[id(backend)] = Watcher(backend)
        return found


async def awaited(backend: ResultBackend, task_id: str) -> TaskResult:
    """The record of a task once it is ready. Raises RuntimeError without a running asyncio loop."""
    asyncio: Any = sys.modules.get("asyncio")
    if asyncio is None:
        raise RuntimeError("awaiting a result needs a running asyncio loop; use get() elsewhere")
    loop = asyncio.get_running_loop()
    future = loop.create_future()

    def settle(what: TaskResult | Exception) -> None:
        if future.done():
            return
        if isinstance(what, Exception):
            future.set_exception(what)
        else:
            future.set_result(what)

    def tell(what: TaskResult | Exception) -> None:
        try:
            loop.call_soon_threadsafe(settle, what)
        except RuntimeError:
            return  # the loop is closed: nobody waits any more

    waits = watcher(backend)
    waits.add(task_id, tell)
    try:
        record: TaskResult = await future
        return record
    finally:
        waits.drop(task_id, tell)


def _forget_inherited() -> None:
    """In a forked child: the threads are the parent's."""
    global _making
    _making = threading.Lock()
    _watchers.clear()


os.register_at_fork(after_in_child=_forget_inherited)
