"""From a URL to the database it names: `sqlite:///relative`, `sqlite:////absolute`, `?sync=normal|full`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

from celery_rs.config import mask_urls
from celery_rs.errors import ImproperlyConfigured
from celery_rs.transports.sqlite.database import LOCK_TIMEOUT_S, Database

_SYNC = ("normal", "full")
_OPTIONS = ("sync", "lock_timeout")


def open_database(url: str, options: Mapping[str, Any]) -> Database:
    """This process's database for the file; nothing is opened yet. The URL's query goes before `options`."""
    path, query = _parse(url)
    shown = mask_urls(url)
    chosen = {**options, **query}
    for name in chosen:
        if name not in _OPTIONS:
            raise ImproperlyConfigured(f"expected {' or '.join(_OPTIONS)} as an option of {shown!r}, got {name!r}")
    sync = chosen.get("sync", "normal")
    if sync not in _SYNC:
        raise ImproperlyConfigured(f"expected sync=normal or sync=full for {shown!r}, got {sync!r}")
    timeout = chosen.get("lock_timeout", LOCK_TIMEOUT_S)
    try:
        seconds = float(timeout)
    except (TypeError, ValueError):
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise ImproperlyConfigured(f"expected a number of seconds as lock_timeout for {shown!r}, got {timeout!r}")
    return Database.shared(path, sync=sync, lock_timeout=seconds)


def _parse(url: str) -> tuple[Path, dict[str, str]]:
    rest = url.removeprefix("sqlite://")
    location, _, query = rest.partition("?")
    name = unquote(location.removeprefix("/"))
    if rest == url or not location.startswith("/") or not name or "\0" in name:
        raise ImproperlyConfigured(
            f"expected 'sqlite:///relative/path' or 'sqlite:////absolute/path', got {mask_urls(url)!r}; name a file"
        )
    return Path(name).absolute(), dict(parse_qsl(query, keep_blank_values=True))
