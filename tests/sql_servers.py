"""The PostgreSQL and MariaDB that tests share: each test has a schema or a database of its own there.

`tests/brokers.sh` says where they are; without it they are looked for on their usual ports.
"""

import getpass
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import sqlalchemy as sa

POSTGRESQL = os.environ.get(
    "TEST_POSTGRESQL_URL", f"postgresql+psycopg://{getpass.getuser()}@127.0.0.1:5432/test?connect_timeout=2"
)
MARIADB = os.environ.get("TEST_MARIADB_URL", "mysql+pymysql://root@127.0.0.1:3306/test?connect_timeout=2")
SERVERS = {"postgresql": POSTGRESQL, "mariadb": MARIADB}


@cache
def there(server: str) -> bool:
    """Whether it answers."""
    try:
        with _engine(server).connect():
            return True
    except sa.exc.SQLAlchemyError:
        return False


@contextmanager
def fresh_database(server: str, driver: str | None = None) -> Iterator[str]:
    """The URL of a place that nobody else uses, as this driver opens it; dropped in the end."""
    name = f"celery_rs_{os.getpid()}_{secrets.token_hex(4)}"
    url = sa.make_url(SERVERS[server])
    if server == "postgresql":
        made, dropped = f"CREATE SCHEMA {name}", f"DROP SCHEMA {name} CASCADE"
        url = url.update_query_dict({"options": f"-csearch_path={name}"})
    else:
        made, dropped = f"CREATE DATABASE {name}", f"DROP DATABASE {name}"
        url = url.set(database=name)
    shown = url.render_as_string(hide_password=False)
    _tell(server, made)
    try:
        yield shown if driver is None else by_driver(shown, driver)
    finally:
        _tell(server, dropped)


def by_driver(url: str, driver: str) -> str:
    """The same place, opened by another driver."""
    parts = sa.make_url(url)
    return parts.set(drivername=f"{parts.get_backend_name()}+{driver}").render_as_string(hide_password=False)


def _tell(server: str, statement: str) -> None:
    with _engine(server).connect() as connection:
        connection.execute(sa.text(statement))


@cache
def _engine(server: str) -> sa.Engine:
    return sa.create_engine(SERVERS[server], poolclass=sa.pool.NullPool, isolation_level="AUTOCOMMIT")
