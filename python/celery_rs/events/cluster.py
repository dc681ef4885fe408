"""What a monitor knows of workers and tasks from their events: `app.events.State`.

Events come late, twice, or never: each only adds what it knows, and one that is older than what a task is known to be
does not take its state back. Memory is bounded; who was not heard of for longest is forgotten first.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from celery_rs import states
from celery_rs.events.seen import SeenTask, SeenWorker

Known = TypeVar("Known", SeenTask, SeenWorker)

WORKERS_MOST = 5_000
TASKS_MOST = 10_000


class State:
    """Fold events with `event`; read `workers` by name and `tasks` by id. Any thread.

    `callback` is told of each event afterwards, as `callback(state, event)`.
    """

    def __init__(
        self,
        callback: "Callable[[State, dict[str, Any]], object] | None" = None,
        max_workers_in_memory: int = WORKERS_MOST,
        max_tasks_in_memory: int = TASKS_MOST,
    ) -> None:
        self.event_callback = callback
        self.max_workers_in_memory = max_workers_in_memory
        self.max_tasks_in_memory = max_tasks_in_memory
        self.workers: OrderedDict[str, SeenWorker] = OrderedDict()
        self.tasks: OrderedDict[str, SeenTask] = OrderedDict()
        self.event_count = 0
        self.task_count = 0
        self._lock = threading.RLock()

    def event(self, event: dict[str, Any]) -> tuple[SeenWorker | SeenTask | None, str]:
        """Take in one event; whom it was about (None: nobody known here), and what happened (`online`, `failed`)."""
        with self._lock:
            self.event_count += 1
            group, _, what = str(event.get("type", "")).partition("-")
            about: SeenWorker | SeenTask | None = None
            if group == "worker":
                about = self._worker_event(what, event)
            elif group == "task":
                about = self._task_event(what, event)
            if self.event_callback is not None:
                self.event_callback(self, event)
            return about, what

    def _worker_event(self, what: str, event: dict[str, Any]) -> SeenWorker | None:
        hostname = event.get("hostname")
        if not isinstance(hostname, str):
            return None
        worker = self._worker(hostname)
        worker.take(what, event)
        return worker

    def _task_event(self, what: str, event: dict[str, Any]) -> SeenTask | None:
        uuid, hostname = event.get("uuid"), event.get("hostname")
        if not isinstance(uuid, str) or not isinstance(hostname, str):
            return None
        task = self.tasks.get(uuid)
        if task is None:
            task = _kept(self.tasks, uuid, SeenTask(uuid), self.max_tasks_in_memory)
        else:
            self.tasks.move_to_end(uuid)
        if what == "received":
            self.task_count += 1
        if what == "sent":
            task.client = hostname
        else:
            task.worker = self._worker(hostname)
        task.take(what, event)
        return task

    def _worker(self, hostname: str) -> SeenWorker:
        worker = self.workers.get(hostname)
        if worker is None:
            return _kept(self.workers, hostname, SeenWorker(hostname), self.max_workers_in_memory)
        self.workers.move_to_end(hostname)
        return worker

    # asking

    def alive_workers(self) -> list[SeenWorker]:
        """Those that were heard of within two of their heartbeats."""
        with self._lock:
            return [worker for worker in self.workers.values() if worker.alive]

    def counts(self) -> dict[str, int]:
        """How many known tasks are in each state."""
        with self._lock:
            found: dict[str, int] = {}
            for task in self.tasks.values():
                found[task.state] = found.get(task.state, 0) + 1
            return found

    def task_types(self) -> list[str]:
        """The names of the known tasks."""
        with self._lock:
            return sorted({task.name for task in self.tasks.values() if task.name is not None})

    def tasks_by_time(self, limit: int | None = None, reverse: bool = True) -> Iterator[tuple[str, SeenTask]]:
        """Ids and tasks, those that were heard of last first."""
        with self._lock:
            found = sorted(self.tasks.items(), key=lambda item: item[1].timestamp, reverse=reverse)
        return iter(found[:limit])

    tasks_by_timestamp = tasks_by_time

    def tasks_by_type(self, name: str, limit: int | None = None) -> Iterator[tuple[str, SeenTask]]:
        """Those of this name."""
        return self._some(lambda task: task.name == name, limit)

    def tasks_by_worker(self, hostname: str, limit: int | None = None) -> Iterator[tuple[str, SeenTask]]:
        """Those that this worker was the last to have."""
        return self._some(lambda task: task.worker is not None and task.worker.hostname == hostname, limit)

    def _some(self, wanted: Callable[[SeenTask], bool], limit: int | None) -> Iterator[tuple[str, SeenTask]]:
        found = [(uuid, task) for uuid, task in self.tasks_by_time() if wanted(task)]
        return iter(found[:limit])

    # forgetting

    def clear(self, ready: bool = True) -> None:
        """Forget everything; without `ready`, what has not ended stays."""
        with self._lock:
            if ready:
                self.workers.clear()
                self.tasks.clear()
            else:
                self.clear_tasks(ready=False)
            self.event_count = self.task_count = 0

    def clear_tasks(self, ready: bool = True) -> None:
        """Forget the tasks; without `ready`, only those that have ended."""
        with self._lock:
            for uuid in [uuid for uuid, task in self.tasks.items() if ready or task.state in states.READY_STATES]:
                del self.tasks[uuid]

    @contextmanager
    def freeze_while(self) -> Iterator["State"]:
        """A block in which no event is taken in: other threads that bring one wait."""
        with self._lock:
            yield self

    def __repr__(self) -> str:
        return f"<State: events={self.event_count} tasks={self.task_count}>"


def _kept(known: OrderedDict[str, Known], name: str, one: Known, most: int) -> Known:
    known[name] = one
    while len(known) > most:
        known.popitem(last=False)
    return one
