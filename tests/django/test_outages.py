"""The database is away, or its tables are: the log says it in a line, and no task is lost."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.django import postgres
from tests.django.running import OURS, DjangoProject
from tests.sql_servers import POSTGRESQL

BROKER = "sqlite:///queue.sqlite3"
ADD = "from shop.tasks import add\n"


def test_tables_that_are_missing_are_named_with_what_makes_them(tmp_path: Path) -> None:
    with DjangoProject(tmp_path / "project", OURS, BROKER) as project:
        project.manage("migrate", "-v0", "shop")
        worker = project.worker()
        task_id = project.script(f"{ADD}say(add.delay(2, 3).id)\n")

        line = worker.wait_for("django_celery_results_taskresult")
        assert "there is no table 'django_celery_results_taskresult'" in line
        assert "run `python manage.py migrate django_celery_results`; trying again in" in line
        assert "Traceback" not in worker.output

        project.manage("migrate", "-v0")
        assert project.script(f"{ADD}say(add.AsyncResult({task_id!r}).get(timeout=60))\n") == 5


def test_a_database_that_cannot_be_opened_is_waited_for(tmp_path: Path) -> None:
    home, away = tmp_path / "data", tmp_path / "away"
    home.mkdir()
    database = json.dumps({"ENGINE": "django.db.backends.sqlite3", "NAME": str(home / "db.sqlite3")})
    with DjangoProject(tmp_path / "project", OURS, BROKER, database=database) as project:
        project.manage("migrate", "-v0")
        worker = project.worker()
        home.rename(away)
        task_id = project.script(f"{ADD}say(add.delay(2, 3).id)\n")

        assert "django-db://default: unable to open database file; trying again in" in worker.wait_for("unable to open")

        away.rename(home)
        assert project.script(f"{ADD}say(add.AsyncResult({task_id!r}).get(timeout=60))\n") == 5


def test_a_caller_is_told_in_a_line_what_is_wrong_with_the_database(tmp_path: Path) -> None:
    database = json.dumps({"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "nowhere" / "db")})
    with DjangoProject(tmp_path / "project", OURS, BROKER, database=database) as project:
        told = project.script(
            f"{ADD}from celery.exceptions import BackendError\n"
            "try:\n    add.AsyncResult('a').get(timeout=1)\nexcept BackendError as error:\n    say(str(error))\n"
        )

    assert told == "django-db://default: unable to open database file"


@pytest.fixture
def own_database() -> Iterator[str]:
    """The name of a database that a test may close to everybody."""
    postgres.skip_without()
    name = f"django_outages_{os.getpid()}"
    postgres.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    postgres.run(f"CREATE DATABASE {name}")
    yield name
    postgres.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


TASKS = 5000
OUTAGES = 4


def test_results_outlive_outages_of_the_database_and_none_goes_backwards(tmp_path: Path, own_database: str) -> None:
    described = {**postgres.described(POSTGRESQL), "NAME": own_database}
    with DjangoProject(tmp_path / "project", OURS, BROKER, database=json.dumps(described)) as project:
        project.manage("migrate", "-v0")
        worker = project.worker()
        project.script(
            f"{ADD}from pathlib import Path\n"
            f"ids = [add.delay(number, 1).id for number in range({TASKS})]\n"
            "Path('ids').write_text(json.dumps(ids))\n"
        )
        seen = []
        for part in range(1, OUTAGES + 1):
            _until_stored(own_database, part * TASKS // (OUTAGES + 2))
            with _closed(own_database):
                worker.wait_for("trying again in")
                worker.lines.clear()
            seen.append(_finished(own_database))
        results = project.script(
            f"{ADD}from pathlib import Path\n"
            "ids = json.loads(Path('ids').read_text())\n"
            "say([add.AsyncResult(id).get(timeout=120) for id in ids])\n"
        )

    assert results == [number + 1 for number in range(TASKS)]
    assert seen == sorted(seen)
    assert _finished(own_database) == TASKS


class _closed:  # noqa: N801  (reads as a sentence)
    """Nobody gets in, and who is in is thrown out."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        postgres.run(f"ALTER DATABASE {self._name} ALLOW_CONNECTIONS false")
        postgres.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{self._name}'")

    def __exit__(self, *_: object) -> None:
        postgres.run(f"ALTER DATABASE {self._name} ALLOW_CONNECTIONS true")


def _finished(name: str) -> int:
    with postgres.connected(name) as connection:
        row = connection.execute(
            "SELECT count(*) FROM django_celery_results_taskresult WHERE status = 'SUCCESS'"
        ).fetchone()
    assert row is not None
    return int(row[0])


def _until_stored(name: str, number: int) -> None:
    from tests.deadlines import eventually

    eventually(lambda: _finished(name) >= number)
