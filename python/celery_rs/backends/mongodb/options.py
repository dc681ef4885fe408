"""From URL and mongodb_backend_settings to an opened store, as Celery reads them: what the settings say goes first."""

import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from celery_rs.backends.mongodb.client import Client, Place
from celery_rs.backends.mongodb.documents import DocumentCodec
from celery_rs.backends.mongodb.driver import errors, uri_parser
from celery_rs.backends.mongodb.expiry import Expiry
from celery_rs.backends.mongodb.store import Collections, MongoBackend
from celery_rs.backends.opening import Opening
from celery_rs.config import mask_url, mask_urls
from celery_rs.errors import ImproperlyConfigured

DATABASE = "celery"
_DEFAULTS: Mapping[str, Any] = {
    "maxPoolSize": 10,
    "serverSelectionTimeoutMS": 5_000,
    "connectTimeoutMS": 5_000,
    "socketTimeoutMS": 30_000,
    "appname": "celery-rs",
    "connect": False,
}
"""Of the client, where neither URL nor settings say otherwise."""
_PORT = 27017
_EXAMPLE = "mongodb://127.0.0.1:27017/celery"
_SCRAM = (None, "DEFAULT", "SCRAM-SHA-1", "SCRAM-SHA-256")


def open_store(opening: Opening, *, clock: Callable[[], float] = time.time) -> MongoBackend:
    """Raises ImproperlyConfigured for a URL or a setting that makes no sense."""
    settings = _settings(opening)
    collections = Collections(
        settings.pop("taskmeta_collection", None) or Collections().tasks,
        settings.pop("groupmeta_collection", None) or Collections().groups,
    )
    place = _place(_url(opening.url), settings)
    codec = DocumentCodec(opening.codec, opening.accept, Expiry(opening.expires, opening.failure_expires))
    return MongoBackend(Client(place), collections, codec, clock=clock)


def _settings(opening: Opening) -> dict[str, Any]:
    given = opening.settings.get("mongodb_backend_settings") or {}
    if not isinstance(given, Mapping):
        raise ImproperlyConfigured(
            f"mongodb_backend_settings: expected a dict such as {{'database': 'celery'}}, got {type(given).__name__}"
        )
    return dict(given)


def _url(given: str) -> str:
    """`mongodb` and `mongodb://` alone are this machine's."""
    url = given if "://" in given else f"{given}://"
    scheme, _, rest = url.partition("://")
    return f"{scheme}://localhost{rest}" if not rest or rest.startswith("/") else url


def _place(url: str, settings: dict[str, Any]) -> Place:
    named, in_the_url = _read(url)
    database = settings.pop("database", None) or named or DATABASE
    hosts = _hosts(settings)
    options = {
        name: value
        for name, value in {
            "username": settings.pop("user", None),
            "password": settings.pop("password", None),
            "maxPoolSize": settings.pop("max_pool_size", None),
        }.items()
        if value is not None
    }
    options |= {**(settings.pop("options", None) or {}), **settings}
    known = {name.lower() for name in (*in_the_url, *options)}
    arguments = {name: value for name, value in _DEFAULTS.items() if name.lower() not in known} | options
    if "authsource" not in known and _mechanism(in_the_url, options) in _SCRAM:
        arguments["authSource"] = "admin"  # as in Celery, whatever database the URL names
    if not hosts:
        return Place({"host": url, **arguments}, database, mask_url(url))
    user = {"username": in_the_url["username"], "password": in_the_url["password"]} if "username" in in_the_url else {}
    others = {name: value for name, value in in_the_url.items() if name not in ("username", "password")}
    shown = hosts[0] if "://" in hosts[0] else f"mongodb://{','.join(hosts)}/{database}"
    return Place({"host": hosts, **others, **user, **arguments}, database, mask_url(shown))


def _read(url: str) -> tuple[str | None, dict[str, Any]]:
    """The database that the URL names, and its options; those of `mongodb+srv` the client looks up when it connects."""
    try:
        if not url.startswith("mongodb://"):
            split = urlsplit(url)
            return unquote(split.path.strip("/")) or None, {
                name.lower(): value for name, value in parse_qsl(split.query)
            }
        found = uri_parser.parse_uri(url)
    except (errors.PyMongoError, ValueError) as error:
        said = mask_urls(" ".join(str(error).split()))
        raise ImproperlyConfigured(f"expected a URL such as {_EXAMPLE!r}, got {mask_url(url)!r}: {said}") from None
    options = dict(found["options"])
    if found["username"]:
        options |= {"username": found["username"], "password": found["password"]}
    return found["database"], options


def _hosts(settings: dict[str, Any]) -> list[str]:
    """Those of the settings, which stand before the URL's."""
    several, one, port = settings.pop("mongo_host", None), settings.pop("host", None), settings.pop("port", None)
    given = several or one
    if given is None and port is None:
        return []
    hosts = [given] if isinstance(given, str) else list(given or ["localhost"])
    return [host if "://" in host or ":" in host else f"{host}:{port or _PORT}" for host in hosts]


def _mechanism(in_the_url: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
    named = {name.lower(): value for name, value in (*in_the_url.items(), *options.items())}
    return named.get("authmechanism")
