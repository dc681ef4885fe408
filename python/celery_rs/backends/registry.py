"""URL → result store. Adapters are imported on first use: each loads its client library."""

from collections.abc import Callable, Mapping
from typing import Any

from celery_rs.backends.base import ResultBackend
from celery_rs.config import load, mask_url
from celery_rs.errors import ImproperlyConfigured
from celery_rs.serializers import content_types, serializer
from celery_rs.transports import Transport

_REDIS = ("redis", "rediss", "redis+socket", "valkey", "valkeys", "valkey+socket", "sentinel", "sentinels")
RPC = "rpc"
_NOT_YET = (
    "db database sqla mongodb memcached cache memory+cache elasticsearch "
    "cassandra couchbase couchdb arangodb cosmosdbsql dynamodb filesystem file s3 gs azureblockblob consul etcd "
    "django-db django-cache"
)


def open_backend(
    url: str | None,
    options: Mapping[str, Any],
    *,
    expires: float | None,
    failure_expires: float | None = None,
    overrides: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    transport: Callable[[], Transport] | None = None,
    oid: Callable[[], str] | None = None,
) -> ResultBackend:
    """None and `disabled` keep no results; `options` are result_backend_transport_options, the others are seconds.

    `settings` are those of the app, for stores that have some of their own.
    `overrides` are stores of the user's own: kind of URL → class, or import path, that has an `open` like those here.
    `transport` is the app's, and `oid` names the queue that its results come to, for `rpc://`.
    A store in the broker's own file shares the broker's connection, and is written in the broker's transactions.
    """
    if url is not None and overrides and (kind := url.partition("://")[0]) in overrides:
        return _open_override(kind, overrides[kind], url, options, expires)
    if url is None or url.startswith("disabled"):
        from celery_rs.backends.disabled import DisabledBackend

        return DisabledBackend()
    scheme, separator, rest = url.partition("://")
    if scheme.lower() in _REDIS:
        from celery_rs.backends.redis import open_redis

        return open_redis(url, options, settings or {}, expires=expires or None, failure_expires=failure_expires)
    if scheme.lower() == RPC:
        return _open_rpc(settings or {}, expires or None, transport, oid)
    match scheme if separator else None:
        case "sqlite":
            from celery_rs.backends.sqlite import SqliteBackend

            return SqliteBackend.open(url, options, expires=expires or None, failure_expires=failure_expires)
        case "memory":
            from celery_rs.backends.memory import MemoryBackend

            return MemoryBackend(rest, expires=expires or None, failure_expires=failure_expires)
    kind = scheme.partition("+")[0].lower()
    if kind in _NOT_YET.split() or scheme.lower() in _NOT_YET.split():
        raise ImproperlyConfigured(
            f"expected a redis://, sqlite:// or memory:// result store, stores like {scheme}:// are not supported yet; "
            "use 'sqlite:///results.sqlite3'"
        )
    raise ImproperlyConfigured(
        f"expected a result store's URL such as 'sqlite:///results.sqlite3', got {mask_url(url)!r}"
    )


def is_rpc(url: str | None) -> bool:
    """Whether results are sent to who called, instead of being stored."""
    return url is not None and url.partition("://")[0].lower() == RPC


def _open_rpc(
    settings: Mapping[str, Any],
    expires: float | None,
    transport: Callable[[], Transport] | None,
    oid: Callable[[], str] | None,
) -> ResultBackend:
    from celery_rs.backends.rpc import RpcBackend

    if transport is None or oid is None:
        raise ImproperlyConfigured("expected an app around the result store rpc://, whose broker it sends results over")
    accept = settings.get("result_accept_content")
    return RpcBackend(
        transport,
        oid,
        expires=expires,
        persistent=bool(settings.get("result_persistent")),
        serializer=serializer(settings.get("result_serializer") or "json"),
        accept=content_types(tuple(settings.get("accept_content") or ("json",) if accept is None else accept)),
    )


def _open_override(kind: str, given: Any, url: str, options: Mapping[str, Any], expires: float | None) -> ResultBackend:
    store = load(given) if isinstance(given, str) else given
    if not callable(getattr(store, "open", None)):
        raise ImproperlyConfigured(
            f"override_backends: expected a result store with a class method `open(url, options, expires=...)` for "
            f"{kind!r}, got {given!r}"
        )
    opened: ResultBackend = store.open(url, options, expires=expires or None)
    return opened
