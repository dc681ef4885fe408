"""The URL of the broker, from all the settings that have a say in it."""

from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import quote

from celery_rs.config.manners import manners

Purpose = Literal["read", "write"]

_PARTS = ("broker_host", "broker_port", "broker_user", "broker_password", "broker_vhost")


def broker_url(conf: Mapping[str, Any], purpose: Purpose) -> str | None:
    """Where workers read from or calls are written to; None where no setting names a broker, nor do the manners.

    A URL wins over its parts (host, port, user, password, virtual host); `broker_transport` is the kind of either.
    """
    url: str | None = conf[f"broker_{purpose}_url"] or conf["broker_url"] or _of_parts(conf)
    kind = conf["broker_transport"]
    if url is None:
        return manners().broker if kind is None else f"{kind}://"
    return url if kind is None else f"{kind}://{url.partition('://')[2]}"


def _of_parts(conf: Mapping[str, Any]) -> str | None:
    host, port, user, password, vhost = (conf[part] for part in _PARTS)
    if all(part is None for part in (host, port, user, password, vhost)):
        return None
    login = "" if user is None and password is None else f"{quote(user or '', '')}{_after(':', password)}@"
    return f"amqp://{login}{host or 'localhost'}{_after(':', port)}{_after('/', vhost)}"


def _after(sign: str, part: object) -> str:
    return "" if part is None else sign + quote(str(part), "")
