"""URL → transport. Adapters are imported on first use: each loads its client library."""

from collections.abc import Mapping
from typing import Any

from celery_rs.errors import ImproperlyConfigured
from celery_rs.transports.base import Transport


def open_transport(url: str, options: Mapping[str, Any]) -> Transport:
    """`options` are broker_transport_options. Raises ImproperlyConfigured for a URL that makes no sense."""
    scheme, separator, rest = url.partition("://")
    if separator and scheme == "memory":
        from celery_rs.transports.memory import MemoryTransport

        return MemoryTransport(rest)
    raise ImproperlyConfigured(f"expected a broker URL such as 'sqlite:///tasks.sqlite3', got {url!r}")
