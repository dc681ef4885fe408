"""A worker whose results go to a store of the user's own that crashes, hangs or fails: nothing is lost."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from celery_rs.errors import BackendError
from tests.deadlines import DEADLINE_S, eventually
from tests.worker.process import Project

TASKS = 20


@contextmanager
def working(project: Project, *, late: bool = False) -> Iterator[None]:
    """`late` is how messages are acknowledged."""
    settings: dict[str, object] = {
        "result_backend": f"tests.worker.odd_values:OddValues+own://{project.folder}",
        "task_acks_late": late,
    }
    project.app.conf.update(settings)
    with project.worker("-c", "2", settings=settings):
        yield


def send(project: Project) -> Sequence[str]:
    return [project.proj.noted.delay(f"ran {number}").id for number in range(TASKS)]


def stored(project: Project, ids: Sequence[str]) -> None:
    """All of them come, and each task has run once."""
    assert [project.app.AsyncResult(id).get(timeout=DEADLINE_S) for id in ids] == [
        f"ran {number}" for number in range(TASKS)
    ]
    assert all(len(project.lines(f"ran {number}")) == 1 for number in range(TASKS))


def test_a_store_that_crashes_its_process(project: Project) -> None:
    (project.folder / "crash").touch()

    with working(project):
        stored(project, send(project))

    assert "the process that writes there ended (exit code 7)" in project.log()


def test_a_store_that_hangs(project: Project) -> None:
    (project.folder / "hang").touch()

    with working(project):
        ids = send(project)
        eventually((project.folder / "hanging").exists)
        project.saw("ran 0")
        (project.folder / "hang").unlink()
        stored(project, ids)


def test_a_store_that_fails_for_a_while(project: Project) -> None:
    (project.folder / "fail").touch()

    with working(project):
        ids = send(project)
        eventually((project.folder / "failed").exists)
        eventually(lambda: "OddValues.store_result() failed with OSError: disk is gone" in project.log())
        (project.folder / "fail").unlink()
        stored(project, ids)


def test_a_result_that_the_store_always_refuses_holds_up_no_other(project: Project) -> None:
    with working(project):
        poison = project.proj.noted.delay("poison")
        stored(project, send(project))

        with pytest.raises(BackendError, match=r"OddValues.store_result\(\) failed with ValueError: never that"):
            poison.get(timeout=DEADLINE_S)
    assert len(project.lines("poison")) == 1


def test_a_worker_that_is_killed_while_the_store_hangs(project: Project) -> None:
    (project.folder / "hang").touch()
    with working(project, late=True):
        ids = send(project)
        eventually((project.folder / "hanging").exists)
    (project.folder / "hang").unlink()

    with working(project, late=True):
        assert [project.app.AsyncResult(id).get(timeout=DEADLINE_S) for id in ids] == [f"ran {n}" for n in range(TASKS)]
