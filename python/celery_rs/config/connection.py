"""What `inspect stats` says of the broker: the fields of Celery's connections, without secrets. Pure."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from celery_rs.config.secrets import censor, mask_urls

_PORTS = {
    "redis": 6379,
    "rediss": 6379,
    "valkey": 6379,
    "valkeys": 6379,
    "sentinel": 26379,
    "amqp": 5672,
    "amqps": 5671,
}
_LOGIN = {"amqp": "PLAIN", "amqps": "PLAIN"}


def broker_info(url: str, conf: Mapping[str, Any]) -> dict[str, Any]:
    """By the URL in use, which may name several brokers, and the settings."""
    first, *others = [one for one in url.split(";") if one]
    scheme, _, rest = first.partition("://")
    where = urlsplit(f"//{rest}")
    return {
        "hostname": where.hostname,
        "userid": None if where.username is None else unquote(where.username),
        "virtual_host": _virtual_host(scheme, where.path),
        "port": _port(where.netloc) or _PORTS.get(scheme),
        "insist": False,
        "ssl": bool(conf["broker_use_ssl"]) or scheme in ("rediss", "valkeys", "amqps"),
        "transport": scheme,
        "connect_timeout": conf["broker_connection_timeout"],
        "transport_options": censor("broker_transport_options", dict(conf["broker_transport_options"] or {})),
        "login_method": conf["broker_login_method"] or _LOGIN.get(scheme),
        "uri_prefix": None,
        "heartbeat": float(conf["broker_heartbeat"] or 0),
        "failover_strategy": str(conf["broker_failover_strategy"] or "round-robin"),
        "alternates": [mask_urls(other) for other in others],
        "credential_provider": None,
    }


def _virtual_host(scheme: str, path: str) -> str:
    """A database's number, a virtual host, or the path of a file."""
    if scheme in ("sqlite", "redis+socket"):
        return unquote(path.removeprefix("/") if scheme == "sqlite" else path)
    return unquote(path.removeprefix("/")) or ("0" if _PORTS.get(scheme) in (6379, 26379) else "/")


def _port(place: str) -> int | None:
    port = place.rpartition("@")[2].rpartition(":")[2]
    return int(port) if port.isdecimal() else None
