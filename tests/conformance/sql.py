"""Stores in SQL databases: a file, and places of a world's own on the servers that are there."""

from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

from celery_rs.backends.opening import Opening
from celery_rs.backends.sql import SqlBackend, open_store
from celery_rs.backends.sql.upsert import Write, write, write_portably
from tests import sql_servers
from tests.conformance.store_world import StoreWorld


class SqlWorld(StoreWorld):
    """A file, unless there is a `server`. `driver` is another than its URL names, `write` puts rows in by the rule."""

    server: str | None = None
    driver: str | None = None
    write: Write = staticmethod(write)

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._places = ExitStack()
        self.url = f"sqlite:///{directory}/results.db"
        if self.server is not None:
            self.url = self._places.enter_context(sql_servers.fresh_database(self.server, self.driver))

    def open(self, expires: float | None, failure_expires: float | None) -> SqlBackend:
        opening = Opening(f"db+{self.url}", {}, {}, expires, failure_expires)
        return open_store(opening, clock=self.clock, write=self.write)

    def close(self) -> None:
        super().close()
        self._places.close()


class PortableWorld(SqlWorld):
    """As on a database that has no statement for it."""

    write = staticmethod(write_portably)


class PostgresqlWorld(SqlWorld):
    server = "postgresql"


class Psycopg2World(PostgresqlWorld):
    """The older driver."""

    driver = "psycopg2"


class MariaDBWorld(SqlWorld):
    server = "mariadb"


STORES: dict[str, type[StoreWorld]] = {
    "sql-sqlite": SqlWorld,
    "sql-portable": PortableWorld,
    **({"sql-postgresql": PostgresqlWorld} if sql_servers.there("postgresql") else {}),
    **({"sql-psycopg2": Psycopg2World} if sql_servers.there("postgresql") and find_spec("psycopg2") else {}),
    **({"sql-mariadb": MariaDBWorld} if sql_servers.there("mariadb") else {}),
}
