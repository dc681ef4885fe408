"""URL → result store. Adapters are imported on first use: each loads its client library."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, cast

from celery_rs.backends.base import ResultBackend
from celery_rs.backends.opening import Opening
from celery_rs.backends.own import elsewhere, open_own, overridden
from celery_rs.errors import ImproperlyConfigured
from celery_rs.transports import Transport

_ADAPTERS: Mapping[str, str] = {
    "": "disabled",
    "cache": "cache",
    "database": "sql",
    "db": "sql",
    "disabled": "disabled",
    "django-cache": "django.cache",
    "django-db": "django.database",
    "file": "file",
    "memory": "memory",
    "mongodb": "mongodb",
    "redis": "redis",
    "redis+socket": "redis",
    "rediss": "redis",
    "rpc": "rpc",
    "sentinel": "redis",
    "sentinels": "redis",
    "sqlite": "sqlite",
    "valkey": "redis",
    "valkey+socket": "redis",
    "valkeys": "redis",
}
"""Kind of URL → the module here whose `open_store` takes an `Opening`."""
_WITHOUT_URL = frozenset({"", "cache", "database", "db", "disabled", "django-cache", "django-db", "mongodb", "rpc"})
"""What is named only: settings of its own say the rest."""
_SQL = frozenset({"mariadb", "mssql", "mysql", "oracle", "postgresql"})
"""What SQLAlchemy calls its own, without the `db+` before it."""
_NOT_YET = frozenset(
    {
        "elasticsearch", "cassandra", "couchbase", "couchdb", "arangodb", "cosmosdbsql", "dynamodb", "s3", "gs",
        "azureblockblob", "consul", "etcd",
    }
)  # fmt: skip


def open_backend(
    url: str | None,
    options: Mapping[str, Any],
    *,
    expires: float | None,
    failure_expires: float | None = None,
    overrides: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    app: Any = None,
    transport: Callable[[], Transport] | None = None,
    oid: Callable[[], str] | None = None,
) -> ResultBackend:
    """None and `disabled` keep no results; for the others see `Opening`.

    `overrides` are stores of the user's own: kind of URL → class, or import path (see `own/finding.py`).
    A store in the broker's own file shares the broker's connection, and is written in the broker's transactions.
    """
    opening = Opening(url or "", options, settings or {}, expires or None, failure_expires, app, transport, oid)
    kind = kind_of(opening.url)
    own = overridden(opening.url, overrides or {})
    if own is not None:
        return open_own(own, opening)
    adapter = _ADAPTERS.get(kind)
    if adapter is not None and (kind in _WITHOUT_URL or "://" in opening.url):
        return cast(ResultBackend, import_module(f"celery_rs.backends.{adapter}").open_store(opening))
    own = elsewhere(opening.url)
    if own is not None:
        return open_own(own, opening)
    raise ImproperlyConfigured(_complaint(opening, kind))


def _complaint(opening: Opening, kind: str) -> str:
    scheme = opening.url.partition("://")[0]
    if kind in _NOT_YET:
        return (
            f"expected a redis://, sqlite:// or memory:// result store, stores like {scheme}:// are not supported yet; "
            "use 'sqlite:///results.sqlite3'"
        )
    hint = f"; did you mean db+{scheme}://?" if kind in _SQL else ""
    return f"expected a result store's URL such as 'sqlite:///results.sqlite3', got {opening.shown!r}{hint}"


def kind_of(url: str) -> str:
    """What comes before `://`, up to a `+` unless all of it is the name of a store."""
    scheme = url.partition("://")[0].lower()
    return scheme if scheme in _ADAPTERS else scheme.partition("+")[0]


def is_rpc(url: str | None) -> bool:
    """Whether results are sent to who called, instead of being stored."""
    return url is not None and kind_of(url) == "rpc"
