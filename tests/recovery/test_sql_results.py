"""A SQL database is killed and started again while a worker stores results there: each result is there in the end.

None goes backwards on the way: somebody looks at all of them all the time.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from celery_rs import Celery, states
from celery_rs.backends import ResultBackend
from celery_rs.errors import BackendError
from celery_rs.wire import decode_meta, supersedes
from tests.deadlines import eventually
from tests.own_databases import OwnDatabase, own_database
from tests.worker.process import project_in

__all__ = ["own_database"]

TASKS = 5_000


class Onlooker(threading.Thread):
    """Looks at these records until it is stopped. Waits on `stopping`, hardly at all."""

    def __init__(self, store: ResultBackend, ids: list[str]) -> None:
        super().__init__(name="onlooker")
        self._store = store
        self._ids = ids
        self._seen: dict[str, tuple[str, int]] = {}
        self.stopping = threading.Event()
        self.ready = 0
        self.looks = 0
        self.backwards: list[object] = []

    def has_seen(self, ready: int) -> bool:
        return self.ready >= ready

    def run(self) -> None:
        while not self.stopping.wait(0.05):
            try:
                found = self._store.fetch(self._ids)
            except BackendError:
                continue
            for task_id, record in found.items():
                now, before = (record.state, record.attempt), self._seen.get(task_id)
                if before not in (None, now) and not supersedes(*now, over=before[0], over_attempt=before[1]):
                    self.backwards.append((task_id, before, now))
                self._seen[task_id] = now
            if lost := self._seen.keys() - found.keys():
                self.backwards.append(lost)
            self.ready = sum(state in states.READY_STATES for state, _ in self._seen.values())
            self.looks += 1


@contextmanager
def looking(app: Celery, ids: list[str]) -> Iterator[Onlooker]:
    onlooker = Onlooker(app.backend, ids)
    onlooker.start()
    try:
        yield onlooker
    finally:
        onlooker.stopping.set()
        onlooker.join()


def test_every_result_is_there_after_the_store_was_killed_in_the_middle(
    own_database: OwnDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"result_backend": f"db+{own_database.url}", "task_track_started": True}
    with project_in(tmp_path, monkeypatch) as project:
        project.app.conf.update(settings)
        proj = project.proj
        sent = [proj.add.delay(number, 1) for number in range(TASKS - 500)]
        sent += [proj.retried.delay(1) for _ in range(500)]
        ids = [result.id for result in sent]
        with looking(project.app, ids) as onlooker, project.worker("-c", "2", settings=settings):
            for some in (TASKS // 4, TASKS // 2):
                eventually(partial(onlooker.has_seen, some))
                own_database.kill()
                eventually(lambda: "trying again" in project.log().lower())
                own_database.start()
            eventually(partial(onlooker.has_seen, TASKS))
            found = project.app.backend.fetch(ids)

    results = [decode_meta(found[task_id].meta) for task_id in ids]
    assert {result.status for result in results} == {"SUCCESS"}
    assert [result.result for result in results[: TASKS - 500]] == [number + 1 for number in range(TASKS - 500)]
    assert [result.result for result in results[TASKS - 500 :]] == [1] * 500
    assert onlooker.backwards == []
    assert onlooker.looks > 10
