"""Results in files or in a memcached that goes away while tasks run: the worker goes on, and nothing goes backwards."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from celery_rs.backends import open_backend
from tests.deadlines import DEADLINE_S, eventually
from tests.memcached_server import own_memcached
from tests.worker.process import Project, project_in

TASKS = 5000


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    with project_in(tmp_path, monkeypatch) as project:
        yield project


def send(project: Project, number: int) -> list[str]:
    return [project.proj.add.delay(index, 1).id for index in range(number)]


def come(project: Project, ids: Sequence[str]) -> None:
    """Each has its own result."""
    project.app.conf.update({"result_expires": 3600})
    found = {record.task_id: record for record in project.app.backend.watch(ids, DEADLINE_S)}
    assert found.keys() == set(ids)
    assert all(record.state == "SUCCESS" for record in found.values())
    assert [project.app.AsyncResult(id).result for id in ids[:50]] == [index + 1 for index in range(50)]


def more_than(number: int, counted: Callable[[], int]) -> bool:
    return counted() > number


def test_a_directory_that_is_away_for_a_while_during_5000_tasks(project: Project) -> None:
    directory, away = project.folder / "results", project.folder / "away"
    directory.mkdir()
    settings = {"result_backend": f"file://{directory}", "task_track_started": True}
    project.app.conf.update(settings)
    with project.worker("-c", "2", settings=settings):
        ids = send(project, TASKS)
        for _ in range(3):
            before = len(list(directory.iterdir()))
            ids += send(project, 200)  # those before may all be through
            eventually(partial(more_than, before + 100, lambda: len(list(directory.iterdir()))))
            complaints = project.log().count("make the directory")
            directory.rename(away)
            ids += send(project, 10)  # those before may all be through
            eventually(partial(more_than, complaints, lambda: project.log().count("make the directory")))
            away.rename(directory)
        come(project, ids)


def test_a_memcached_that_is_killed_and_started_again_during_tasks(project: Project) -> None:
    with own_memcached() as server:
        settings = {"result_backend": server.url}
        project.app.conf.update(settings)
        stored = open_backend(server.url, {}, expires=60)
        with project.worker("-c", "2", settings=settings):
            ids = send(project, 2000)
            eventually(lambda: len(stored.fetch(ids)) > 100)
            server.kill()
            ids += send(project, 200)  # those before may all be through
            eventually(lambda: "cannot reach result store cache+memcached" in project.log())
            server.start()
            later = send(project, 200)

            come(project, later)
            eventually(lambda: project.column("id") == [])
            lost = set(ids) - stored.fetch(ids).keys()
            assert len(lost) < len(ids), "what was written after the restart is there"
        stored.close()
