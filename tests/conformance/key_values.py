"""Worlds of the stores that keep values by key."""

import secrets
from pathlib import Path

from celery_rs.backends import ResultBackend
from celery_rs.backends.cache.memcached import open_values
from celery_rs.backends.cache.memory import MemoryValues
from celery_rs.backends.file import over_directory
from celery_rs.backends.key_value import Keys, KeyValueBackend, Lasting
from celery_rs.wire import ResultCodec
from tests import memcached_server
from tests.conformance.store_world import StoreWorld, lacking

_BY_ITSELF = "memcached expires by a clock of its own"


class CacheMemoryWorld(StoreWorld):
    """cache+memory://"""

    shared_by_processes = False

    def open(self, expires: float | None, failure_expires: float | None) -> ResultBackend:
        values = MemoryValues(str(self.directory), self.clock)
        lasting = Lasting(expires, failure_expires)
        return KeyValueBackend(values, Keys(), lasting, ResultCodec(), clock=self.clock, wait=values.wait)


class FileWorld(StoreWorld):
    """file://"""

    def open(self, expires: float | None, failure_expires: float | None) -> ResultBackend:
        path, lasting = str(self.directory), Lasting(expires, failure_expires)
        return over_directory(path, Keys(), lasting, ResultCodec(), clock=self.clock)


class MemcachedWorld(StoreWorld):
    """cache+memcached://, under keys of the test's own."""

    lacks = lacking({"clock": _BY_ITSELF, "failures expire alone": _BY_ITSELF})
    servers = (f"127.0.0.1:{memcached_server.PORT}",)

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._keys = Keys(f"{secrets.token_hex(8)}-")

    def open(self, expires: float | None, failure_expires: float | None) -> ResultBackend:
        values, lasting = open_values(self.servers, {}), Lasting(expires, failure_expires)
        return KeyValueBackend(values, self._keys, lasting, ResultCodec(), clock=self.clock)


STORES: dict[str, type[StoreWorld]] = {
    "cache-memory": CacheMemoryWorld,
    "file": FileWorld,
    **({"memcached": MemcachedWorld} if memcached_server.answers() else {}),
}
