"""Our app has django-celery-results' tables, takes them over from any of its releases, and gives them back."""

import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.django.running import OUR_APP, OURS, REAL, THEIR_APP, DjangoProject
from tests.interop.celery_side import CELERY

pytestmark = pytest.mark.skipif(not CELERY.exists(), reason="there is no real Celery in .venv-celery: run `make test`")

TABLES = ("taskresult", "groupresult", "chordcounter")


def shape(path: Path) -> dict[str, Any]:
    """Columns and indexes."""
    shapes = {}
    with sqlite3.connect(path) as connection:
        for name in (f"django_celery_results_{table}" for table in TABLES):
            columns = {row[1]: row[2:] for row in connection.execute(f"PRAGMA table_info({name})")}
            indexes = {
                (index[1] if not index[1].startswith("sqlite_") else "", index[2]): tuple(
                    row[2] for row in connection.execute(f"PRAGMA index_info({index[1]})")
                )
                for index in connection.execute(f"PRAGMA index_list({name})")
            }
            shapes[name] = [columns, indexes]
    connection.close()
    return shapes


def projects(folder: Path, database: Path) -> tuple[DjangoProject, DjangoProject]:
    """Theirs and ours, with one database."""
    described = json.dumps({"ENGINE": "django.db.backends.sqlite3", "NAME": str(database)})
    broker = "sqlite:///queue.sqlite3"
    return (
        DjangoProject(folder / "theirs", REAL, "redis://", database=described),
        DjangoProject(folder / "ours", OURS, broker, database=described),
    )


def test_the_tables_are_the_same(tmp_path: Path) -> None:
    theirs, _ = projects(tmp_path / "one", tmp_path / "theirs.sqlite3")
    _, ours = projects(tmp_path / "two", tmp_path / "ours.sqlite3")

    theirs.manage("migrate", "-v0")
    ours.manage("migrate", "-v0")

    assert shape(tmp_path / "ours.sqlite3") == shape(tmp_path / "theirs.sqlite3")
    assert "No changes detected" in ours.manage("makemigrations", "--check", "--dry-run")


@pytest.mark.parametrize("release", ["0001", "0004", "0006", "0009", "0012"])
def test_tables_of_an_older_release_are_taken_over(tmp_path: Path, release: str) -> None:
    path = tmp_path / "db.sqlite3"
    theirs, ours = projects(tmp_path, path)
    theirs.manage("migrate", "-v0", "django_celery_results", release)
    with sqlite3.connect(path) as connection:
        values = {"task_id": "old", "status": "SUCCESS", "result": "5", "meta": "{}"}
        values |= {"content_type": "application/json", "content_encoding": "utf-8", "date_done": "2999-01-01 00:00:00"}
        values |= {"hidden": "0"} if release < "0007" else {}
        values |= {"date_created": "2020-01-01 00:00:00"} if release >= "0006" else {}
        marks = ", ".join("?" * len(values))
        connection.execute(
            f"INSERT INTO django_celery_results_taskresult ({', '.join(values)}) VALUES ({marks})", [*values.values()]
        )
    connection.close()

    ours.manage("migrate", "-v0")

    assert ours.script("from celery import current_app as app\nsay(app.AsyncResult('old').get(timeout=10))\n") == 5
    assert "No migrations to apply" in theirs.manage("migrate")


def test_the_package_itself_may_stay_where_we_stand_in_for_celery(tmp_path: Path) -> None:
    library = tmp_path / "library"
    (package,) = CELERY.parents[1].glob("lib/*/site-packages/django_celery_results")
    shutil.copytree(package, library / "django_celery_results")
    program = OURS._replace(app=THEIR_APP, env={**OURS.env, "PYTHONPATH": str(library)})
    with DjangoProject(tmp_path / "project", program, "sqlite:///queue.sqlite3") as project:
        project.manage("migrate", "-v0")
        assert "No changes detected" in project.manage("makemigrations", "--check", "--dry-run")
        project.worker()

        seen = project.play()

    assert (seen["sum"], len(seen["rows"])) == (5, 6)


def test_results_have_pages_in_the_admin(tmp_path: Path) -> None:
    apps = ["admin", "auth", "contenttypes", "sessions", "messages"]
    more = {
        "INSTALLED_APPS": [*(f"django.contrib.{app}" for app in apps), OUR_APP, "shop"],
        "MIDDLEWARE": [
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
        ],
        "TEMPLATES": [
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {
                    "context_processors": [
                        "django.template.context_processors.request",
                        "django.contrib.auth.context_processors.auth",
                        "django.contrib.messages.context_processors.messages",
                    ]
                },
            }
        ],
        "ROOT_URLCONF": "proj.urls",
        "ALLOWED_HOSTS": ["testserver"],
        "STATIC_URL": "/static/",
    }
    with DjangoProject(tmp_path / "project", OURS, "memory://", more=json.dumps(more)) as project:
        (project.folder / "proj" / "urls.py").write_text(
            "from django.contrib import admin\nfrom django.urls import path\n"
            "urlpatterns = [path('admin/', admin.site.urls)]\n"
        )
        project.manage("migrate", "-v0")
        pages = project.script(
            "from celery_rs.django.results.models import TaskResult\n"
            "from django.contrib.auth.models import User\n"
            "from django.test import Client\n"
            "row = TaskResult.objects.create(task_id='a task', content_type='application/json', result='42')\n"
            "client = Client()\n"
            "client.force_login(User.objects.create_superuser('root'))\n"
            "base = '/admin/django_celery_results/taskresult/'\n"
            "say([client.get(page).content.decode() for page in (base, f'{base}{row.pk}/change/')])\n"
        )

    assert "a task" in pages[0]
    assert "42" in pages[1]
    assert '<input type="text" name="task_id"' not in pages[1], "they are to be looked at"
