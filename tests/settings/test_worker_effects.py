"""What single settings make of a worker: real processes, whose settings are a module that the environment names."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from celery_rs.errors import WorkerLostError
from celery_rs.wire import Broadcast, worker_direct
from celery_rs.worker import Worker, WorkerOptions
from tests.apps import make_app
from tests.deadlines import DEADLINE_S, eventually
from tests.worker.process import Project, project_in

Configure = Callable[[str], None]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    with project_in(tmp_path, monkeypatch) as project:
        yield project


@pytest.fixture
def configure(project: Project, monkeypatch: pytest.MonkeyPatch) -> Configure:
    """Write the settings of the workers that are started next; this process keeps its own."""
    monkeypatch.setenv("PYTHONPATH", f"{os.getcwd()}{os.pathsep}{project.folder}")

    def configure(settings: str) -> None:
        (project.folder / "worker_settings.py").write_text(settings)
        project.app.conf.finalize()
        monkeypatch.setenv("CELERY_CONFIG_MODULE", "worker_settings")

    return configure


def test_imports_and_include_are_imported_by_the_worker(project: Project, configure: Configure) -> None:
    for name in ("first", "second"):
        (project.folder / f"{name}_tasks.py").write_text(
            f"from tests.worker.proj import app\n@app.task(name='{name}')\ndef task():\n    return '{name}'\n"
        )
    configure("imports = ['first_tasks']\ninclude = ['second_tasks']")

    with project.worker("-c", "1"):
        assert project.app.send_task("first").get(timeout=DEADLINE_S) == "first"
        assert project.app.send_task("second").get(timeout=DEADLINE_S) == "second"


def test_a_worker_holds_as_much_as_the_settings_say(project: Project, configure: Configure) -> None:
    worker = Worker(make_app(worker_eta_task_limit=2), WorkerOptions(hostname="w1@h"))
    configure("worker_prefetch_multiplier = 7")

    with project.worker("-c", "3"):
        (stats,) = (project.app.control.inspect(timeout=DEADLINE_S, limit=1).stats() or {}).values()

    assert stats["prefetch_count"] == 21
    assert worker._caps().etas == 2


def test_a_worker_that_a_program_makes_has_the_pool_of_the_settings() -> None:
    app = make_app(worker_pool="solo")

    assert Worker.of(app).options.pool == "solo"
    assert Worker.of(app, pool="prefork").options.pool == "prefork"


def test_the_worker_is_as_the_settings_say() -> None:
    app = make_app(worker_concurrency=3, task_queues=["a", "b"])

    worker = Worker(app, WorkerOptions(hostname="w1@h"))

    assert worker.concurrency == 3
    assert [queue.name for queue in worker.queues] == ["a", "b"]
    assert Worker(app, WorkerOptions(hostname="w1@h", concurrency=5)).concurrency == 5


def test_the_pool_is_the_one_of_the_settings(project: Project, configure: Configure) -> None:
    configure("worker_pool = 'solo'")

    with project.worker():
        assert "concurrency: 1 (solo)" in project.log()
        assert project.proj.add.delay(1, 2).get(timeout=DEADLINE_S) == 3


def test_a_process_is_replaced_after_the_tasks_of_the_settings(project: Project, configure: Configure) -> None:
    configure("worker_max_tasks_per_child = 1")

    with project.worker("-c", "1"):
        for name in ("a", "b"):
            project.proj.noted.delay(name).get(timeout=DEADLINE_S)

    ((first, _), (second, _)) = (project.lines(name)[0].split() for name in ("a", "b"))
    assert first != second


def test_the_worker_takes_its_caps_from_the_settings(project: Project, configure: Configure) -> None:
    configure("task_max_crashes = 1\ntask_max_deliveries = 2")
    project.proj.noted.delay("too-often")
    with closing(sqlite3.connect(project.folder / "proj.sqlite3")) as file, file:
        file.execute("UPDATE messages SET deliveries = 2")

    with project.worker("-c", "1"):
        with pytest.raises(WorkerLostError, match="died"):
            project.proj.dies_late.delay().get(timeout=DEADLINE_S)
        eventually(lambda: len(letters(project)) == 2)

    assert len(project.lines("dies-late")) == 1
    assert project.lines("too-often") == []
    assert sorted(letter.reason for letter in letters(project)) == ["crashes", "deliveries"]


def letters(project: Project) -> list[Any]:
    return list(project.app.transport.dead.page().letters)


def test_a_worker_without_remote_control_does_not_answer(project: Project, configure: Configure) -> None:
    configure("worker_enable_remote_control = False")

    with project.worker("-c", "1"):
        assert project.app.control.ping(timeout=0.3) == []


def test_commands_go_through_the_exchange_of_the_settings(project: Project, configure: Configure) -> None:
    configure("control_exchange = 'elsewhere'")

    with project.worker("-c", "1"):
        assert project.app.control.ping(timeout=0.3) == []
        project.app.conf.control_exchange = "elsewhere"
        assert len(project.app.control.ping(timeout=DEADLINE_S, limit=1)) == 1


def test_old_names_are_read_and_warned_of(project: Project, configure: Configure) -> None:
    configure("CELERYD_POOL = 'solo'")

    with project.worker():
        assert "concurrency: 1 (solo)" in project.log()
        assert "names of settings from before Celery 4: CELERYD_POOL; Celery 6 will not read them" in project.log()


def test_a_worker_may_have_a_queue_of_its_own(project: Project, configure: Configure) -> None:
    configure("worker_direct = True")

    with project.worker("-c", "1", name="direct"), project.worker("-c", "1", "-Q", "celery", name="other"):
        (node,) = [node for reply in project.app.control.ping(timeout=2) for node in reply if "direct" in node]
        result = project.proj.noted.apply_async(("here",), queue=worker_direct(node))
        assert result.get(timeout=DEADLINE_S) == "here"

    assert "here" in project.log("direct")


def test_every_worker_that_consumes_a_broadcast_gets_its_messages(project: Project, configure: Configure) -> None:
    configure("from celery_rs import Broadcast, Queue\ntask_queues = [Queue('celery'), Broadcast('all')]")

    project.app.amqp.queues.add(Broadcast("all"))
    with (
        project.worker("-c", "1", name="one"),
        project.worker("-c", "1", "-Q", "all", name="two"),
        project.worker("-c", "1", "-X", "all", name="deaf"),
    ):
        project.proj.noted.apply_async(("heard",), queue="all", ignore_result=True)
        eventually(lambda: len(project.lines("heard")) == 2)
        assert project.proj.noted.delay("once").get(timeout=DEADLINE_S) == "once"

    assert all("proj.noted" in project.log(name) for name in ("one", "two"))
    assert len(project.lines("heard")) == 2
    assert len(project.lines("once")) == 1


def test_a_worker_reads_here_and_writes_there(project: Project, configure: Configure, tmp_path: Path) -> None:
    there = make_app(broker_url=f"sqlite:///{tmp_path}/there.sqlite3")
    there.conf.finalize()
    configure(f"broker_write_url = {there.broker_url!r}")

    with project.worker("-c", "1"):
        result = project.proj.retried.delay(1)
        eventually(lambda: there.transport.find(result.id) is not None)

    assert project.app.transport.find(result.id) is None
    there.close()
