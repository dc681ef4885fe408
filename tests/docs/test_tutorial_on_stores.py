"""The tutorial's page on results once more, with results elsewhere than in the broker's file."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deadlines import DEADLINE_S
from tests.docs.pages import Block, blocks, named
from tests.docs.reader import environment, reading
from tests.docs.test_tutorial_on_redis import TUTORIAL
from tests.sql_servers import fresh_database, there

PAGES = [page for page in TUTORIAL if page.name == "results.md"]

OWN = '''
import os

from celery_rs.backends import KeyValueStoreBackend


class Drawers(KeyValueStoreBackend):
    """A folder with a file for each key."""

    def _file(self, key):
        os.makedirs("drawers", exist_ok=True)
        return os.path.join("drawers", key if isinstance(key, str) else key.decode())

    def get(self, key):
        try:
            with open(self._file(key), "rb") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def mget(self, keys):
        return [self.get(key) for key in keys]

    def set(self, key, value):
        draft = f"{self._file(key)}.{os.getpid()}"
        with open(draft, "wb") as file:
            file.write(value if isinstance(value, bytes) else value.encode())
        os.replace(draft, self._file(key))

    def delete(self, key):
        if os.path.exists(self._file(key)):
            os.unlink(self._file(key))
'''
DJANGO = """
from pathlib import Path

SECRET_KEY = "of a test"
INSTALLED_APPS = ["celery_rs.django.results"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": Path(__file__).parent / "db.sqlite3"}}
USE_TZ = True
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    return home


@pytest.fixture
def postgresql() -> Iterator[str]:
    if not there("postgresql"):
        pytest.skip("no PostgreSQL answers: run `make test`")
    with fresh_database("postgresql") as url:
        yield f"db+{url}"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_results_go_to_a_file_by_sqlalchemy(page: Path, home: Path) -> None:
    read(page, home, "db+sqlite:///results.sqlite3", "SqlBackend")


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_results_go_to_postgresql_by_sqlalchemy(page: Path, home: Path, postgresql: str) -> None:
    read(page, home, postgresql, "SqlBackend")


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_results_go_to_a_store_of_ones_own(page: Path, home: Path) -> None:
    (home / "drawers.py").write_text(OWN)

    read(page, home, "drawers.Drawers", "OwnBackend")

    assert list((home / "drawers").glob("celery-task-meta-*"))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_results_go_to_the_database_of_a_django_project(page: Path, home: Path) -> None:
    (home / "settings.py").write_text(DJANGO)
    variables = {"DJANGO_SETTINGS_MODULE": "settings", "PYTHONPATH": "."}
    migrate = [sys.executable, "-m", "django", "migrate", "--verbosity", "0"]
    subprocess.run(migrate, cwd=home, env=environment(home) | variables, check=True, timeout=DEADLINE_S)

    read(page, home, "django-db", "DjangoDatabaseBackend", **variables)


def read(page: Path, home: Path, store: str, kind: str, **variables: str) -> None:
    """Type the page in, with that store; `kind` is what it calls itself."""
    with reading(home) as reader:
        reader.environment |= variables
        for block in blocks(page):
            try:
                reader.take(elsewhere(block, store, kind))
            except AssertionError as error:
                raise AssertionError(f"{named(page)}, line {block.line}: {error}") from None


def elsewhere(block: Block, store: str, kind: str) -> Block:
    """The block as it is written, and as it prints, with that store."""
    text = re.sub(r'(?<=backend=")[^"]*', store, block.text)
    text = re.sub("<SqliteBackend: [^>]*>", f"<{kind}: ...>", text)
    if store == "django-db" and block.language == "pycon":
        text = f">>> import django\n>>> django.setup()\n{text}"  # as the shell of a project does
    return block._replace(text=text)
