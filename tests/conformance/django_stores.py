"""Results in a Django project's database and caches."""

import atexit
import tempfile
import threading
import warnings
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from celery_rs.backends import ResultBackend
from celery_rs.backends.opening import Opening
from celery_rs.wire import TaskResult
from tests.conformance.promises import Promise
from tests.conformance.store_world import StoreWorld, lacking
from tests.sql_servers import there


class DjangoSqlite(StoreWorld):
    """A file of its own for each test."""

    def __init__(self, directory: Path) -> None:
        from django.utils import timezone

        from tests.django.configured import database

        super().__init__(directory)
        self._ends = ExitStack()
        self.alias = self._ends.enter_context(database(self.description()))
        before = timezone.now
        self._ends.callback(setattr, timezone, "now", before)
        timezone.now = lambda: datetime.fromtimestamp(self.clock(), UTC)

    def description(self) -> dict[str, Any]:
        from tests.django.configured import migrated_sqlite

        return migrated_sqlite(self.directory / "results.sqlite3", _template())

    def open(self, expires: float | None, failure_expires: float | None) -> ResultBackend:
        from celery_rs.backends.django.database import DjangoDatabaseBackend

        class Backend(DjangoDatabaseBackend):
            def store(self, records: Sequence[TaskResult]) -> Sequence[bool]:
                try:
                    return super().store(records)
                finally:
                    _leave_thread()

        return Backend(Opening("django-db", {}, {}, expires, failure_expires))

    def close(self) -> None:
        super().close()
        self._ends.close()


class DjangoPostgres(DjangoSqlite):
    """A schema for each process; its tables are emptied for each test."""

    def description(self) -> dict[str, Any]:
        from tests.django.configured import database

        described = postgres_schema()
        with database(described) as alias:
            from django.db import connections

            with connections[alias].cursor() as cursor:
                cursor.execute(
                    "TRUNCATE django_celery_results_taskresult, django_celery_results_groupresult, "
                    "django_celery_results_chordcounter"
                )
        return described


class DjangoMariaDB(DjangoSqlite):
    """A database for each process; its tables are emptied for each test."""

    def description(self) -> dict[str, Any]:
        from tests.django.configured import database

        described = mariadb()
        with database(described) as alias:
            from django.db import connections

            with connections[alias].cursor() as cursor:
                for table in ("taskresult", "groupresult", "chordcounter"):
                    cursor.execute(f"TRUNCATE django_celery_results_{table}")
        return described


class DjangoLocalCache(StoreWorld):
    """A cache in this process."""

    lacks: Mapping[Promise, str] = lacking(
        {
            "chords": "Django's caches cannot compare and set",
            "clock": "a cache has a clock of its own",
        }
    )

    def __init__(self, directory: Path) -> None:
        from django.core.cache import CacheKeyWarning, caches

        from tests.django.configured import set_up

        super().__init__(directory)
        set_up()
        # No memcached takes the ids that some tests have, and Django says so for every cache.
        warnings.filterwarnings("ignore", category=CacheKeyWarning)
        self._ends = ExitStack()
        caches.settings["results"] = self.description()
        self._ends.callback(caches.settings.pop, "results")
        caches["results"] = caches.create_connection("results")
        self._ends.callback(caches.__delitem__, "results")
        self.prepare()

    def prepare(self) -> None:
        from django.core.cache import caches

        caches["results"].clear()

    def description(self) -> dict[str, Any]:
        return {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "results"}

    def open(self, expires: float | None, failure_expires: float | None) -> ResultBackend:
        from celery_rs.backends.django.cache import DjangoCacheBackend

        settings = {"cache_backend": "results"}
        return DjangoCacheBackend(Opening("django-cache", {}, settings, expires, failure_expires))

    def close(self) -> None:
        super().close()
        self._ends.close()


class DjangoFileCache(DjangoLocalCache):
    """A cache in files, which processes share."""

    def description(self) -> dict[str, Any]:
        return {
            "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
            "LOCATION": str(self.directory / "cache"),
            "OPTIONS": {"MAX_ENTRIES": 100_000},
        }


class DjangoDatabaseCache(DjangoLocalCache):
    """A cache in a table of a SQLite."""

    def description(self) -> dict[str, Any]:
        return {
            "BACKEND": "django.core.cache.backends.db.DatabaseCache",
            "LOCATION": "results_cache",
            "OPTIONS": {"MAX_ENTRIES": 100_000},
        }

    def prepare(self) -> None:
        from django.core.management import call_command

        from tests.django.configured import database, sqlite

        alias = self._ends.enter_context(database(sqlite(self.directory / "cache.sqlite3")))
        call_command("createcachetable", "results_cache", database=alias, verbosity=0)


@cache
def _template() -> Path:
    return Path(tempfile.mkdtemp(prefix="celery-rs-django-")) / "template.sqlite3"


@cache
def postgres_schema() -> dict[str, Any]:
    """A schema with the tables in it, dropped at the end of the process."""
    from tests.django.configured import database, migrate
    from tests.django.postgres import postgres_database

    held = ExitStack()
    described = held.enter_context(postgres_database())
    atexit.register(held.close)
    with database(described) as alias:
        migrate(alias)
    return described


@cache
def mariadb() -> dict[str, Any]:
    """A database with the tables in it, dropped at the end of the process."""
    from tests.django.configured import database, migrate
    from tests.django.mariadb import mariadb_database

    held = ExitStack()
    described = held.enter_context(mariadb_database())
    atexit.register(held.close)
    with database(described) as alias:
        migrate(alias)
    return described


def _leave_thread() -> None:
    """A thread that ends leaves its connection to the garbage collector, which complains."""
    from django.db import connections

    if threading.current_thread() is not threading.main_thread():
        connections.close_all()


STORES: dict[str, type[StoreWorld]] = {
    "django-db-sqlite": DjangoSqlite,
    **({"django-db-postgresql": DjangoPostgres} if there("postgresql") else {}),
    **({"django-db-mariadb": DjangoMariaDB} if there("mariadb") else {}),
    "django-cache-local": DjangoLocalCache,
    "django-cache-files": DjangoFileCache,
    "django-cache-table": DjangoDatabaseCache,
}
