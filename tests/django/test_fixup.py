"""What an app does by itself in a Django project, and leaves alone elsewhere."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from celery_rs import Celery, Task
from celery_rs.errors import FixupWarning
from tests.deadlines import DEADLINE_S
from tests.django.configured import set_up
from tests.django.running import OURS, DjangoProject

BROKER = "sqlite:///queue.sqlite3"


def make_app(**options: Any) -> Celery:
    return Celery("proj", broker="memory://", set_as_current=False, **options)


@pytest.fixture
def in_django(monkeypatch: pytest.MonkeyPatch) -> None:
    set_up()
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "proj.settings")


def test_nothing_of_django_is_loaded_where_it_is_not_in_use():
    code = "import sys; from celery_rs import Celery; Celery('a').Task; print('django' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=DEADLINE_S, check=True)

    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("store", ["django-db", "django-cache"])
def test_a_store_of_django_asks_for_a_project_where_nobody_names_one(store):
    code = f"from celery_rs import Celery; Celery('a', backend={store!r}).AsyncResult('x').state"
    elsewhere = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}

    done = subprocess.run(
        [sys.executable, "-c", code], env=elsewhere, capture_output=True, text=True, timeout=DEADLINE_S
    )

    assert done.stderr.splitlines()[-1] == (
        f"celery_rs.errors.ImproperlyConfigured: the result store {store} needs a Django project; "
        "set DJANGO_SETTINGS_MODULE, such as 'proj.settings'"
    )


def test_a_project_that_is_not_there_is_told_in_one_line():
    code = "from celery_rs import Celery; Celery('a', backend='django-db').AsyncResult('x').state"
    there = os.environ | {"DJANGO_SETTINGS_MODULE": "nowhere.settings"}

    done = subprocess.run([sys.executable, "-c", code], env=there, capture_output=True, text=True, timeout=DEADLINE_S)

    assert done.stderr.splitlines()[-1] == (
        "celery_rs.errors.ImproperlyConfigured: the result store django-db cannot set up Django with "
        "DJANGO_SETTINGS_MODULE='nowhere.settings': No module named 'nowhere'"
    )


def test_a_missing_django_is_a_warning(monkeypatch):
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "proj.settings")
    monkeypatch.setattr("celery_rs.app.fixups.find_spec", lambda _: None)

    with pytest.warns(FixupWarning, match=r"pip install 'celery-rs\[django\]'"):
        app = make_app()

    assert app.Task.__mro__[1] is Task


@pytest.mark.usefixtures("in_django")
def test_tasks_can_be_sent_on_commit():
    from celery_rs.django import DjangoTask

    app = make_app()

    @app.task
    def add(x, y):
        return x + y

    assert isinstance(add, DjangoTask)


@pytest.mark.usefixtures("in_django")
def test_a_class_of_the_users_own_is_kept():
    class Mine(Task):
        pass

    class App(Celery):
        task_cls = Mine

    assert issubclass(make_app(task_cls=Mine).Task, Mine)
    assert issubclass(App("proj", broker="memory://", set_as_current=False).Task, Mine)


@pytest.mark.usefixtures("in_django")
def test_an_app_can_be_had_without():
    assert make_app(fixups=[]).Task.__mro__[1] is Task


@pytest.mark.usefixtures("in_django")
def test_the_apps_of_the_project_are_looked_into():
    app = make_app()

    app.autodiscover_tasks(related_name="models", force=True)

    assert app.loader.task_modules == {"celery_rs.django.results.models"}


@pytest.mark.usefixtures("in_django")
def test_the_time_zone_is_djangos_unless_the_app_has_one():
    from django.conf import settings

    of_django, own = make_app(), make_app()
    of_django.config_from_object(settings, namespace="CELERY")
    own.config_from_object({"timezone": "Asia/Tokyo"})

    assert str(of_django.timezone) == "Europe/Berlin"
    assert str(own.timezone) == "Asia/Tokyo"
    assert make_app().conf.timezone is None


@pytest.mark.usefixtures("in_django")
def test_what_djangos_checks_say_is_logged_once(caplog, monkeypatch):
    from django.core import checks

    asked = []

    def complain(**_):
        asked.append(1)
        return [checks.Error("the shop is closed", id="shop.E001"), checks.Warning("and it rains", id="shop.W001")]

    checks.register(complain)
    try:
        app = make_app()
        app.loader.import_default_modules()
        app.loader.import_default_modules()
        monkeypatch.setenv("CELERY_SKIP_CHECKS", "true")
        make_app().loader.import_default_modules()
    finally:
        checks.registry.registry.registered_checks.discard(complain)

    said = [line.getMessage() for line in caplog.records if line.name == "celery.django"]
    assert said == ["Django's checks say: the shop is closed (shop.E001)"]
    assert len(asked) == 1


def test_a_project_that_configures_logging_does_not_silence_its_worker(tmp_path: Path):
    more = json.dumps({"LOGGING": {"version": 1}})  # which disables what it does not name
    with DjangoProject(tmp_path / "project", OURS, BROKER, more=more) as project:
        assert "w@host ready." in project.worker().output


@pytest.mark.parametrize(
    ("database", "more", "expected"),
    [
        ({"CONN_MAX_AGE": 600}, {}, [True, True, True]),
        ({"CONN_MAX_AGE": 600}, {"CELERY_DB_REUSE_MAX": 1}, [False, False, False]),
        ({}, {}, [False, False, False]),
    ],
    ids=["kept", "kept for one task", "closed"],
)
def test_connections_are_kept_as_long_as_the_project_says(tmp_path: Path, database, more, expected):
    described = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "db"), **database}
    settings = {"database": json.dumps(described), "more": json.dumps({**more, "CELERY_TASK_TRACK_STARTED": False})}
    with DjangoProject(tmp_path / "project", OURS, BROKER, **settings) as project:
        project.manage("migrate", "-v0")
        project.worker("-c", "1")
        found = project.script(
            "from shop.tasks import finds_open, place\n"
            "def after_one(name):\n"
            "    place.delay(name).get(timeout=60)\n"
            "    return finds_open.delay().get(timeout=60)\n"
            "say([after_one(name) for name in 'abc'])\n"
        )

    assert found == expected


def test_tests_of_a_project_run_tasks_where_they_are_called(tmp_path: Path):
    more = json.dumps({"CELERY_TASK_ALWAYS_EAGER": True, "CELERY_TASK_STORE_EAGER_RESULT": True})
    with DjangoProject(tmp_path / "project", OURS, BROKER, more=more) as project:
        (project.folder / "shop" / "tests.py").write_text(TESTS)

        project.manage("test", "shop")


TESTS = """
from django.apps import apps
from django.test import TestCase, TransactionTestCase

from shop.models import Order
from shop.tasks import place


class InATransaction(TestCase):
    def test_a_task_runs_inside_it(self):
        self.assertEqual(place.delay("one").get(), 1)
        self.assertEqual(apps.get_model("django_celery_results", "TaskResult").objects.get().status, "SUCCESS")

    def test_a_commit_can_be_played(self):
        with self.captureOnCommitCallbacks(execute=True) as callbacks:
            place.delay_on_commit("two")
            self.assertEqual(Order.objects.count(), 0)
        self.assertEqual(len(callbacks), 1)
        self.assertEqual(Order.objects.get().name, "two")


class Without(TransactionTestCase):
    def test_a_task_runs_at_once(self):
        place.delay_on_commit("three")
        self.assertEqual(Order.objects.get().name, "three")
"""


def test_a_django_that_cannot_be_set_up_is_told_in_its_own_words(tmp_path: Path):
    more = json.dumps({"INSTALLED_APPS": ["nowhere"]})
    with DjangoProject(tmp_path / "project", OURS, BROKER, more=more) as project:
        words = [*OURS.worker, "-A", "proj", "worker"]
        done = subprocess.run(
            words, cwd=project.folder, env=project.env, capture_output=True, text=True, timeout=DEADLINE_S, check=False
        )

    assert done.returncode != 0
    assert "nowhere" in done.stderr.splitlines()[-1]


def test_a_store_without_django_says_what_to_install():
    code = (
        "import sys; sys.modules['django'] = None\n"
        "from celery_rs import Celery\n"
        "Celery('proj', broker='memory://', backend='django-db').backend\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=DEADLINE_S, check=False)

    assert done.stderr.splitlines()[-1].endswith(
        "a result store of Django needs the module 'django'; pip install 'celery-rs[django]'"
    )
