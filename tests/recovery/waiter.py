"""Somebody who waits for a result while its store is away."""

import threading

from celery_rs.backends import ResultBackend
from celery_rs.errors import BackendError
from celery_rs.wire import TaskResult
from tests.deadlines import DEADLINE_S

ALREADY = "there already"


class Waiter(threading.Thread):
    """Waits for one result, as `get` does; it has begun to once this has been made, which takes a result `ALREADY`."""

    def __init__(self, store: ResultBackend, task_id: str) -> None:
        super().__init__(name=f"waits for {task_id}")
        self.store = store
        self.task_id = task_id
        self.found: list[TaskResult] = []
        self.error: Exception | None = None
        self.waits = threading.Event()
        self.start()
        assert self.waits.wait(DEADLINE_S)

    def run(self) -> None:
        try:
            watching = self.store.watch([ALREADY, self.task_id], DEADLINE_S)
            next(watching)
            self.waits.set()
            self.found = list(watching)
        except BackendError as error:
            self.error = error

    def end(self) -> list[TaskResult]:
        self.join(DEADLINE_S)
        assert self.error is None
        return self.found
