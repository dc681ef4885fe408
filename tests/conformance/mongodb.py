"""The world of results in a MongoDB, in a database of the test's own."""

import secrets
from pathlib import Path
from typing import Any

import pymongo

from celery_rs.backends import ResultBackend
from celery_rs.backends.mongodb import open_store
from celery_rs.backends.opening import Opening
from tests import mongodb_server
from tests.conformance.store_world import StoreWorld


class MongoWorld(StoreWorld):
    """mongodb://"""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.database = f"celery_rs_{secrets.token_hex(6)}"

    def open(self, expires: float | None, failure_expires: float | None) -> ResultBackend:
        settings = {"mongodb_backend_settings": {"database": self.database}}
        opening = Opening(mongodb_server.URL, {}, settings, expires, failure_expires)
        return open_store(opening, clock=self.clock)

    def close(self) -> None:
        super().close()
        client: pymongo.MongoClient[Any] = pymongo.MongoClient(mongodb_server.URL)
        client.drop_database(self.database)
        client.close()


STORES: dict[str, type[StoreWorld]] = {**({"mongodb": MongoWorld} if mongodb_server.answers() else {})}
