"""URL → result store. Adapters are imported on first use: each loads its client library."""

from collections.abc import Mapping
from typing import Any

from celery_rs.backends.base import ResultBackend
from celery_rs.errors import ImproperlyConfigured


def open_backend(url: str | None, options: Mapping[str, Any], *, expires: float | None) -> ResultBackend:
    """None and `disabled` keep no results; `options` are result_backend_transport_options, `expires` is seconds."""
    if url is None or url.startswith("disabled"):
        from celery_rs.backends.disabled import DisabledBackend

        return DisabledBackend()
    scheme, separator, rest = url.partition("://")
    if separator and scheme == "memory":
        from celery_rs.backends.memory import MemoryBackend

        return MemoryBackend(rest, expires=expires or None)
    raise ImproperlyConfigured(f"expected a result store's URL such as 'sqlite:///results.sqlite3', got {url!r}")
