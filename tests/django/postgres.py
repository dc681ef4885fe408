"""The PostgreSQL that tests share, as Django is told of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from tests.sql_servers import POSTGRESQL, fresh_database, there


@contextmanager
def postgres_database() -> Iterator[dict[str, Any]]:
    """A schema of a test's own, for Django's DATABASES. Skips where there is no server."""
    skip_without()
    with fresh_database("postgresql") as url:
        yield described(url)


def skip_without() -> None:
    if not there("postgresql"):
        pytest.skip("no PostgreSQL answers")


def described(url: str) -> dict[str, Any]:
    """For Django's DATABASES."""
    parts = sa.make_url(url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.database,
        "USER": parts.username,
        "PASSWORD": parts.password or "",
        "HOST": parts.host,
        "PORT": str(parts.port or 5432),
        "OPTIONS": dict(parts.query),
    }


def connected(database: str | None = None) -> "psycopg.Connection[Any]":
    """A connection to the shared database, or to another of that server."""
    url = sa.make_url(POSTGRESQL).set(drivername="postgresql")
    url = url if database is None else url.set(database=database)
    return psycopg.connect(url.render_as_string(hide_password=False), autocommit=True)


def run(statement: str) -> None:
    with connected() as connection:
        connection.execute(statement.encode())
