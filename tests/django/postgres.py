"""A database of a test's own on the PostgreSQL of this machine."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import psycopg
import pytest

SERVER = "host=127.0.0.1 user=postgres dbname=test connect_timeout=3"


@cache
def answers() -> bool:
    try:
        psycopg.connect(SERVER).close()
    except psycopg.OperationalError:
        return False
    return True


def run(statement: str) -> None:
    with psycopg.connect(SERVER, autocommit=True) as connection:
        connection.execute(statement)


def described(schema: str) -> dict[str, Any]:
    """For Django's DATABASES. The session is closed where a client hangs: no test leaves a lock behind."""
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "test",
        "USER": "postgres",
        "HOST": "127.0.0.1",
        "OPTIONS": {"options": f"-c search_path={schema}"},
    }


@contextmanager
def postgres_database(name: str = "project") -> Iterator[dict[str, Any]]:
    """A schema, dropped afterwards. Skips where there is no server."""
    if not answers():
        pytest.skip("no PostgreSQL answers on 127.0.0.1:5432")
    schema = f"django_{name}_{os.getpid()}"
    run(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
    run(f"CREATE SCHEMA {schema}")
    try:
        yield described(schema)
    finally:
        run(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
