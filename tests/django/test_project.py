"""A stock Django project does the same under Celery and under celery-rs, and either reads the other's results."""

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.django.postgres import postgres_database
from tests.django.running import OURS, REAL, DjangoProject, Program
from tests.interop.celery_side import CELERY
from tests.redis_server import redis_server

pytestmark = [
    pytest.mark.skipif(not CELERY.exists(), reason="there is no real Celery in .venv-celery: run `make test`"),
    pytest.mark.skipif(shutil.which("redis-server") is None, reason="real Celery needs a Redis, and there is none"),
]


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[str]:
    with redis_server(tmp_path) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def shared_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The description of one, as JSON."""
    if request.param == "sqlite":
        path = tmp_path / "shared.sqlite3"
        options = {"timeout": 20}
        yield json.dumps({"ENGINE": "django.db.backends.sqlite3", "NAME": str(path), "OPTIONS": options})
        return
    with postgres_database() as described:
        yield json.dumps(described)


def seen_by(program: Program, folder: Path, broker: str, **settings: str) -> dict[str, Any]:
    with DjangoProject(folder, program, broker, **settings) as project:
        project.manage("migrate", "-v0")
        project.worker()
        return project.play()


@pytest.mark.parametrize(("broker", "results"), [("sqlite", "django-db"), ("redis", "django-cache")])
def test_a_stock_project_does_the_same_under_both_programs(
    redis: str, tmp_path: Path, broker: str, results: str
) -> None:
    ours = {"sqlite": "sqlite:///queue.sqlite3", "redis": f"{redis}/1"}[broker]
    with ThreadPoolExecutor(2) as threads:
        real = threads.submit(seen_by, REAL, tmp_path / "celery", f"{redis}/0", results=results)
        mine = threads.submit(seen_by, OURS, tmp_path / "ours", ours, results=results)
        expected, seen = real.result(), mine.result()

    assert seen == expected
    assert seen["orders"] == ["committed", "one", "two"], "what is rolled back calls nothing"
    assert not any(seen["found open"]), "connections are closed around tasks"


@pytest.mark.parametrize(("works", "asks"), [(REAL, OURS), (OURS, REAL)], ids=["celery works", "we work"])
def test_either_reads_what_the_other_has_stored(
    redis: str, tmp_path: Path, shared_database: str, works: Program, asks: Program
) -> None:
    with (
        DjangoProject(tmp_path / "works", works, redis, database=shared_database) as worker,
        DjangoProject(tmp_path / "asks", asks, redis, database=shared_database) as client,
    ):
        worker.manage("migrate", "-v0")
        assert "No migrations to apply" in client.manage("migrate"), "the tables are the same"
        worker.worker()
        seen = client.play()

    assert seen["sum"] == 5
    assert seen["error"] == [["boom", 1], "FAILURE", "ValueError: ('boom', 1)"]
    assert [row[:4] for row in seen["rows"]][:1] == [["shop.tasks.add", "SUCCESS", "5", '"(2, 3)"']]
    assert seen["after it"] == 1


@pytest.mark.parametrize(("works", "asks"), [(REAL, OURS), (OURS, REAL)], ids=["celery works", "we work"])
def test_either_reads_what_the_other_has_put_into_a_cache(
    redis: str, tmp_path: Path, works: Program, asks: Program
) -> None:
    with (
        DjangoProject(tmp_path / "works", works, redis, results="django-cache") as worker,
        DjangoProject(tmp_path / "asks", asks, redis, results="django-cache") as client,
    ):
        for project in (worker, client):
            project.env["PROJ_CACHE"] = str(tmp_path / "cache")
            project.env["PROJ_DATABASE"] = json.dumps(
                {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "db"), "OPTIONS": {"timeout": 20}}
            )
        worker.manage("migrate", "-v0")
        worker.worker()
        seen = client.play()

    assert seen["sum"] == 5
    assert seen["error"] == [["boom", 1], "FAILURE", "ValueError: ('boom', 1)"]


def test_either_finds_the_groups_that_the_other_has_saved(tmp_path: Path, redis: str) -> None:
    database = json.dumps({"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "shared.sqlite3")})
    with (
        DjangoProject(tmp_path / "celery", REAL, redis, database=database) as celery,
        DjangoProject(tmp_path / "ours", OURS, redis, database=database) as ours,
    ):
        celery.manage("migrate", "-v0")
        save = "from celery import current_app as app\nfrom celery.result import AsyncResult, GroupResult\n"
        for name, project in (("theirs", celery), ("mine", ours)):
            project.script(f"{save}GroupResult({name!r}, [AsyncResult('a'), AsyncResult('b')]).save()\n")
        look = "from celery.result import GroupResult\nsay([[one.id for one in GroupResult.restore(name)] for name in "

        assert ours.script(f"{look}['theirs']])\n") == [["a", "b"]]
        assert celery.script(f"{look}['mine']])\n") == [["a", "b"]]
