"""From broker URLs to the Redis servers they name. Pure.

`redis://`, `rediss://`, `redis+socket://`, `sentinel://`, and the same with `valkey`; several joined by `;` are a
failover list. What `dial` is told comes out, checked.
"""

import ssl
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from celery_rs.config import mask_url, mask_urls
from celery_rs.errors import ImproperlyConfigured
from celery_rs.transports.redis.options import SECONDS, seconds

_PLAIN = {"redis": False, "valkey": False, "rediss": True, "valkeys": True}
_SOCKET = ("redis+socket", "valkey+socket")
_SENTINEL = ("sentinel", "sentinels")
SCHEMES = (*_PLAIN, *_SOCKET, *_SENTINEL)

_CERT_REQS = {
    "none": "none", "optional": "optional", "required": "required",
    "CERT_NONE": "none", "CERT_OPTIONAL": "optional", "CERT_REQUIRED": "required",
}  # fmt: skip
_TLS = (
    "ssl_cert_reqs", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_check_hostname", "ssl_ca_path",
    "ssl_ca_data", "ssl_password", "ssl_min_version", "ssl_ciphers", "ssl_validate_ocsp",
)  # fmt: skip
_QUERY = {
    "virtual_host",
    "db",
    "username",
    "password",
    "client_name",
    "socket_timeout",
    "socket_connect_timeout",
    *_TLS,
}


class Location(NamedTuple):
    """One server, or the sentinels that know it. `login` and `tls` are what `dial` is told, in redis-py's words."""

    kind: str
    """tcp, socket or sentinel."""
    hosts: tuple[tuple[str, int], ...]
    path: str
    db: int
    login: Mapping[str, Any]
    tls: Mapping[str, Any] | None
    shown: str
    """For people: the URL without secrets."""

    @property
    def address(self) -> tuple[object, ...]:
        """What two URLs of one database have in common."""
        return self.kind, self.hosts, self.path, self.db


def locations(url: str) -> list[Location]:
    """Every server that may be tried, in order. Raises ImproperlyConfigured."""
    found: list[Location] = []
    parts = [part for part in url.split(";") if part]
    while parts:
        first = parts.pop(0)
        scheme = first.partition("://")[0].lower()
        if scheme in _SENTINEL:
            # The sentinels of one set are joined as a failover list is.
            group = [first]
            while parts and parts[0].partition("://")[0].lower() == scheme:
                group.append(parts.pop(0))
            found.append(_sentinels(group))
        else:
            found.append(_one(first))
    if not found:
        raise ImproperlyConfigured(f"expected a URL such as 'redis://localhost:6379/0', got {mask_url(url)!r}")
    return found


def tls_options(given: Any, setting: str = "broker_use_ssl") -> dict[str, Any] | None:
    """Options of TLS by redis-py's names for that setting: True, or a dict of ssl_* options. None is no TLS."""
    if not given:
        return None
    if given is True:
        return {}
    if not isinstance(given, Mapping):
        raise ImproperlyConfigured(f"{setting} must be True or a dict of ssl_* options, got {given!r}")
    return {_tls_name(name): _tls_value(name, value) for name, value in given.items()}


def _one(url: str) -> Location:
    scheme, separator, _ = url.partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in (*_PLAIN, *_SOCKET):
        raise ImproperlyConfigured(
            f"expected a URL such as 'redis://localhost:6379/0', got {mask_url(url)!r}; "
            "the servers of a failover list must be of one kind"
        )
    parts, query = _split(url)
    login = _login(parts, query)
    if scheme in _SOCKET:
        path = unquote(parts.path)
        if parts.netloc or not path:
            raise ImproperlyConfigured(f"expected 'redis+socket:///path/to/redis.sock', got {mask_url(url)!r}")
        db = _number(query.get("virtual_host", query.get("db", "0")).strip("/") or "0", url)
        return Location("socket", (), path, db, login, None, mask_url(url))
    tls = None
    if _PLAIN[scheme]:
        tls = {_tls_name(name): _tls_value(name, value) for name, value in query.items() if name in _TLS}
    elif any(name in query for name in _TLS):
        raise ImproperlyConfigured(f"expected rediss:// where a URL has ssl_ options, got {mask_url(url)!r}")
    return Location("tcp", (_address(parts, url, 6379),), "", _database(parts, query, url), login, tls, mask_url(url))


def _sentinels(urls: list[str]) -> Location:
    hosts: list[tuple[str, int]] = []
    login: dict[str, Any] = {}
    db = 0
    for url in urls:
        parts, query = _split(url)
        hosts.append(_address(parts, url, 26379))
        db = _database(parts, query, url) or db
        login |= _login(parts, query)
    scheme = urls[0].partition("://")[0].lower()
    shown = ";".join(map(mask_url, urls))
    return Location("sentinel", tuple(hosts), "", db, login, {} if scheme == "sentinels" else None, shown)


def _split(url: str) -> tuple[Any, dict[str, str]]:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  (raises for one that is no number)
        query = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError as error:
        raise ImproperlyConfigured(f"{mask_url(url)!r} is no URL of a Redis: {mask_urls(str(error))}") from None
    for name in query:
        if name not in _QUERY:
            raise ImproperlyConfigured(
                f"expected one of {', '.join(sorted(_QUERY))} as an option in {mask_url(url)!r}, got {name!r}"
            )
    return parts, query


def _login(parts: Any, query: Mapping[str, str]) -> dict[str, Any]:
    login: dict[str, Any] = {name: query[name] for name in ("username", "password", "client_name") if query.get(name)}
    for name in ("socket_timeout", "socket_connect_timeout"):
        if name in query:
            try:
                login[name] = seconds(float(query[name]))
            except ValueError:
                raise ImproperlyConfigured(f"expected {SECONDS} as {name}, got {query[name]!r}") from None
    if parts.username:
        login["username"] = unquote(parts.username)
    if parts.password:
        login["password"] = unquote(parts.password)
    return login


def _address(parts: Any, url: str, port: int) -> tuple[str, int]:
    if "," in (parts.hostname or ""):
        raise ImproperlyConfigured(f"expected servers joined by ';', each with its own scheme, got {mask_url(url)!r}")
    return unquote(parts.hostname or "localhost"), parts.port or port


def _database(parts: Any, query: Mapping[str, str], url: str) -> int:
    path = unquote(parts.path).strip("/")
    return _number(path or query.get("db") or query.get("virtual_host") or "0", url)


def _number(text: str, url: str) -> int:
    if not text.isdecimal() or len(text) > 9:
        raise ImproperlyConfigured(
            f"the database of a Redis is a number, as in 'redis://localhost:6379/0', got {text!r} in {mask_url(url)!r}"
        )
    return int(text)


def _tls_name(name: Any) -> str:
    if name not in _TLS:
        raise ImproperlyConfigured(f"expected one of {', '.join(_TLS)} as an option of TLS, got {name!r}")
    return str(name)


def _tls_value(name: str, value: Any) -> Any:
    if name == "ssl_cert_reqs":
        text = str(getattr(value, "name", value))
        if text not in _CERT_REQS:
            raise ImproperlyConfigured(f"ssl_cert_reqs must be 'required', 'optional' or 'none', got {value!r}")
        return _CERT_REQS[text]
    if name == "ssl_min_version":
        return _tls_version(value)
    if name in ("ssl_check_hostname", "ssl_validate_ocsp"):
        if str(value).lower() not in ("true", "false", "1", "0", "yes", "no"):
            raise ImproperlyConfigured(f"{name} must be true or false, got {value!r}")
        return str(value).lower() in ("true", "1", "yes")
    return value


def _tls_version(value: Any) -> ssl.TLSVersion:
    """By its name, as a URL says it, or as it is."""
    for version in ssl.TLSVersion:
        if (
            value is version
            or (type(value) is int and value == version)
            or str(value) in (version.name, f"TLSVersion.{version.name}")
        ):
            return version
    raise ImproperlyConfigured(f"ssl_min_version must be a version such as 'TLSv1_2', got {value!r}")
