"""From URL and settings to an opened cache: `cache+KIND://...` in result_backend, or `cache` and cache_backend."""

from importlib import import_module
from typing import cast

from celery_rs.backends.cache.memory import MemoryValues
from celery_rs.backends.key_value import Keys, KeyValueBackend, Lasting, Values
from celery_rs.backends.opening import Opening
from celery_rs.config import mask_url
from celery_rs.errors import ImproperlyConfigured

MEMCACHED = frozenset({"memcache", "memcached", "pylibmc", "pymemcache"})
"""Celery's names for one and the same."""


def open_store(opening: Opening) -> KeyValueBackend:
    """Raises ImproperlyConfigured for a URL or an option that makes no sense."""
    kind, _, rest = _url(opening).partition("://")
    keys, lasting = Keys.of(opening.options), Lasting(opening.expires, opening.failure_expires)
    if kind == "memory":
        memory = MemoryValues(rest.strip("/"))
        return KeyValueBackend(memory, keys, lasting, opening.codec, place="parent", wait=memory.wait)
    servers = [server for server in rest.rstrip("/").split(";") if server]
    options = opening.settings.get("cache_backend_options") or {}
    adapter = import_module("celery_rs.backends.cache.memcached")
    return KeyValueBackend(cast(Values, adapter.open_values(servers, options)), keys, lasting, opening.codec)


def _url(opening: Opening) -> str:
    """`memory://...` or `memcached://...`."""
    given = opening.url.removeprefix("cache").removeprefix("+")
    url = given if "://" in given and not given.startswith(":") else str(opening.settings.get("cache_backend") or "")
    kind, mark, _ = url.partition("://")
    if (mark and kind in MEMCACHED) or kind == "memory":
        return url
    raise ImproperlyConfigured(
        "expected a cache such as 'cache+memcached://127.0.0.1:11211/' or 'cache+memory://' as result_backend, "
        f"or 'cache' and one without 'cache+' as cache_backend; got {mask_url(url or opening.url)!r}"
    )
