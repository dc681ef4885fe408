"""Django as the tests of this process have it: set up once, with databases and caches that tests add and choose.

A router sends the results to the database that was chosen last, as a project's own router may.
"""

import itertools
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.core.management import call_command
from django.db import connections

_numbers = itertools.count()


class Chosen:
    """The router."""

    alias = "default"

    def db_for_read(self, model: Any, **_: Any) -> str:
        return self.alias

    db_for_write = db_for_read


@cache
def set_up() -> None:
    """Once in a process."""
    settings.configure(
        INSTALLED_APPS=["celery_rs.django.results"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        DATABASE_ROUTERS=["tests.django.configured.Chosen"],
        CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "tests"}},
        USE_TZ=True,
        TIME_ZONE="Europe/Berlin",
        SECRET_KEY="tests",
    )
    django.setup()


@contextmanager
def database(description: Mapping[str, Any]) -> Iterator[str]:
    """The alias of a database, while it is the one that results go to."""
    set_up()
    alias = f"test-{next(_numbers)}"
    connections.settings[alias] = connections.configure_settings({"default": {}, alias: dict(description)})[alias]
    before, Chosen.alias = Chosen.alias, alias
    try:
        yield alias
    finally:
        Chosen.alias = before
        connections[alias].close()
        del connections[alias]
        del connections.settings[alias]


def migrate(alias: str) -> None:
    call_command("migrate", "django_celery_results", database=alias, verbosity=0)


def sqlite(path: Path) -> dict[str, Any]:
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(path), "OPTIONS": {"timeout": 20}}


def migrated_sqlite(path: Path, template: Path) -> dict[str, Any]:
    """A new file with the tables in it; the first one made becomes the `template` of the others."""
    if not template.exists():
        made = template.with_suffix(f".{os.getpid()}")
        with database(sqlite(made)) as alias:
            migrate(alias)
        with suppress(FileExistsError):
            made.replace(template)
    shutil.copyfile(template, path)
    return sqlite(path)
