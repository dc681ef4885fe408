"""The MariaDB that tests share, as Django is told of it.

Django wants mysqlclient, which has to be compiled. PyMySQL stands in for it, and must look as new.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pymysql
import pytest
import sqlalchemy as sa

from tests.sql_servers import fresh_database, there


@contextmanager
def mariadb_database() -> Iterator[dict[str, Any]]:
    """A database of a test's own, for Django's DATABASES. Skips where there is no server."""
    if not there("mariadb"):
        pytest.skip("no MariaDB answers")
    pymysql.version_info = (2, 2, 7, "final", 0)
    pymysql.install_as_MySQLdb()
    with fresh_database("mariadb") as url:
        parts = sa.make_url(url)
        yield {
            "ENGINE": "django.db.backends.mysql",
            "NAME": parts.database,
            "USER": parts.username,
            "PASSWORD": parts.password or "",
            "HOST": parts.host,
            "PORT": str(parts.port or 3306),
        }
