"""URL → transport. Adapters are imported on first use: each loads its client library."""

import difflib
from collections.abc import Callable, Mapping
from typing import Any

from celery_rs.config import mask_url
from celery_rs.errors import ImproperlyConfigured
from celery_rs.transports.base import Transport
from celery_rs.wire import Queue

_REDIS = ("redis", "rediss", "redis+socket", "valkey", "valkeys", "valkey+socket", "sentinel", "sentinels")
_AMQP = ("amqp", "amqps", "pyamqp")
_NOT_YET = (
    "librabbitmq sqs azureservicebus "
    "azurestoragequeues confluentkafka gcpubsub mongodb sqla sqlalchemy zookeeper zk consul etcd filesystem pyro "
    "slmq qpid"
)


def open_transport(
    url: str,
    options: Mapping[str, Any],
    *,
    use_ssl: Any = None,
    connect_timeout: float | None = None,
    failover: Any = None,
    queue_of: Callable[[str], Queue] = Queue,
    amqp: Mapping[str, Any] | None = None,
) -> Transport:
    """`options` are broker_transport_options, the rest settings of the connection: broker_use_ssl,
    broker_connection_timeout in seconds, broker_failover_strategy; `amqp` are those which only a RabbitMQ has, by the
    names of its options. `queue_of` says what a queue is like where it must be declared before anything is sent to it.
    Raises ImproperlyConfigured for what makes no sense.
    """
    scheme, separator, rest = url.partition("://")
    if scheme.lower() in _REDIS:
        from celery_rs.transports.redis import RedisTransport

        return RedisTransport.open(url, options, use_ssl=use_ssl, connect_timeout=connect_timeout, failover=failover)
    if scheme.lower() in _AMQP and separator:
        from celery_rs.transports.amqp import AmqpTransport

        return AmqpTransport.open(
            url,
            options,
            use_ssl=use_ssl,
            connect_timeout=connect_timeout,
            failover=failover,
            queue_of=queue_of,
            **(amqp or {}),
        )
    if url.count("://") > 1:
        raise ImproperlyConfigured(
            f"expected one broker URL, got several in {mask_url(url)!r}; failing over is not supported yet: "
            "name one broker"
        )
    match scheme if separator else None:
        case "sqlite":
            from celery_rs.transports.sqlite import SqliteTransport

            return SqliteTransport.open(url, options)
        case "memory":
            from celery_rs.transports.memory import MemoryTransport

            return MemoryTransport(rest)
    if scheme.lower() in _NOT_YET.split():
        raise ImproperlyConfigured(
            f"expected an amqp://, redis://, sqlite:// or memory:// broker, brokers like {scheme}:// are not supported "
            "yet; use 'sqlite:///tasks.sqlite3'"
        )
    raise ImproperlyConfigured(
        f"expected a broker URL such as 'sqlite:///tasks.sqlite3', got {mask_url(url)!r}{_nearest(scheme)}"
    )


def _nearest(scheme: str) -> str:
    close = difflib.get_close_matches(scheme.lower(), [*_AMQP, *_REDIS, "sqlite", "memory"], 1)
    return f"; did you mean {close[0]}://?" if close else ""
