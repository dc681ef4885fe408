"""From URL and settings to an opened store: `db+` and a URL of SQLAlchemy, and what begins with `database_`."""

import time
from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from celery_rs.backends.opening import Opening
from celery_rs.backends.sql import patience, upsert
from celery_rs.backends.sql.alchemy import exc, sa
from celery_rs.backends.sql.database import Database, Place
from celery_rs.backends.sql.ear import DRIVERS
from celery_rs.backends.sql.expiry import Expiry
from celery_rs.backends.sql.patience import ANSWER_S
from celery_rs.backends.sql.rows import RowCodec
from celery_rs.backends.sql.store import SqlBackend
from celery_rs.backends.sql.tables import Tables
from celery_rs.backends.sql.upsert import Write
from celery_rs.config import load, mask_url, mask_urls
from celery_rs.errors import ImproperlyConfigured

CONNECT_S = 10
_BUSY_S = 5

_LIBPQ: Mapping[str, Any] = {
    "connect_timeout": CONNECT_S,
    "tcp_user_timeout": ANSWER_S * 1000,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}
_MYSQL: Mapping[str, Any] = {"connect_timeout": CONNECT_S, "read_timeout": ANSWER_S, "write_timeout": ANSWER_S}
_TIMEOUTS: Mapping[str, Mapping[str, Any]] = {
    "psycopg": _LIBPQ,
    "psycopg2": _LIBPQ,
    "pymysql": _MYSQL,
    "mysqldb": _MYSQL,
    "pysqlite": {"timeout": _BUSY_S},
}
"""Driver → what keeps it from waiting for ever, unless the URL or database_engine_options say otherwise."""

_DRIVERS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "postgresql": (("psycopg", "psycopg"), ("psycopg2", "psycopg2")),
    "mysql": (("mysqldb", "MySQLdb"), ("pymysql", "pymysql")),
    "mariadb": (("mysqldb", "MySQLdb"), ("pymysql", "pymysql")),
}
"""Where the URL names no driver: those that would do, and their modules."""
_PACKAGES = {
    "postgresql": "psycopg[binary]", "mysql": "pymysql", "mariadb": "pymysql",
    "psycopg": "psycopg[binary]", "psycopg2": "psycopg2-binary", "MySQLdb": "mysqlclient",
}  # fmt: skip
"""What to install for a URL without a driver, and for a module; others have their module's name."""

_OF_A_POOL = ("max_overflow", "echo_pool")


def open_store(opening: Opening, *, clock: Callable[[], float] = time.time, write: Write = upsert.write) -> SqlBackend:
    """Raises ImproperlyConfigured for a URL or a setting that makes no sense."""
    settings = opening.settings
    url = _url_of(opening)
    place = Place(
        partial(_engine, url, _engine_options(url, settings), _callback(settings)),
        _shown(url),
        url.password,
        alone=_is_in_memory(url),
    )
    database = Database(place)
    tables = Tables(_words(settings, "database_table_names"), _words(settings, "database_table_schemas"))
    dialect = database.engine.dialect
    return SqlBackend(
        database,
        tables,
        RowCodec(opening.written_by, opening.accept),
        Expiry(opening.expires, opening.failure_expires),
        listens=dialect.name == "postgresql" and dialect.driver in DRIVERS,
        makes_tables=bool(settings.get("database_create_tables_at_setup", True)),
        clock=clock,
        write=write,
    )


def _url_of(opening: Opening) -> sa.URL:
    given = opening.url
    if "://" not in given:
        given = opening.settings.get("database_url") or ""
        if not given:
            raise ImproperlyConfigured(
                f"result_backend {opening.url!r} needs database_url, such as 'postgresql://user@host/database'"
            )
    given = given.removeprefix("db+").removeprefix("database+")
    try:
        return _with_a_driver(sa.make_url(given))
    except (exc.ArgumentError, ValueError):  # the latter: a port that is no number
        raise ImproperlyConfigured(
            f"expected a URL of SQLAlchemy such as 'db+postgresql://user@host/database', got {mask_url(given)!r}"
        ) from None


def _with_a_driver(url: sa.URL) -> sa.URL:
    """What the URL leaves open is whatever driver is installed."""
    drivers = _DRIVERS.get(url.drivername, ())
    return next((url.set(drivername=f"{url.drivername}+{name}") for name, module in drivers if find_spec(module)), url)


def _engine_options(url: sa.URL, settings: Mapping[str, Any]) -> dict[str, Any]:
    options = dict(settings.get("database_engine_options") or {})
    timeouts = _TIMEOUTS.get(_driver(url), {})
    wanted = {name: value for name, value in timeouts.items() if name not in url.query}
    given = options.get("connect_args") or {}
    if not isinstance(given, Mapping):
        raise ImproperlyConfigured(
            f"database_engine_options: expected a dict as 'connect_args', got {type(given).__name__}"
        )
    options["connect_args"] = wanted | dict(given)
    if _is_in_memory(url):
        options = _without_a_pool(options)
        options["poolclass"] = sa.StaticPool
        options["connect_args"]["check_same_thread"] = False
    elif settings.get("database_short_lived_sessions"):
        options = _without_a_pool(options)
        options["poolclass"] = sa.NullPool
    return options


def _engine(url: sa.URL, options: Mapping[str, Any], callback: Callable[[sa.Engine], object] | None) -> sa.Engine:
    try:
        engine = sa.create_engine(url, **options)
    except exc.NoSuchModuleError:
        raise ImproperlyConfigured(
            f"SQLAlchemy knows no database {url.drivername!r}, expected one such as postgresql, mysql or sqlite"
        ) from None
    except ImportError as error:
        needed = error.name or url.drivername
        package = _PACKAGES.get(url.drivername) or _PACKAGES.get(needed, needed)
        raise ImproperlyConfigured(
            f"the result store {_shown(url)} needs the module {needed!r}; pip install '{package}'"
        ) from None
    except (TypeError, exc.ArgumentError) as error:
        said = mask_urls(" ".join(str(error).split()))
        raise ImproperlyConfigured(f"database_engine_options: {said}") from None
    # MySQL's drivers send rows one by one, unless SQLAlchemy packs them into one statement.
    engine.dialect.use_insertmanyvalues_wo_returning = engine.dialect.use_insertmanyvalues
    if callback is not None:
        callback(engine)
    patience.limit(engine)
    return engine


def _callback(settings: Mapping[str, Any]) -> Callable[[sa.Engine], object] | None:
    given = settings.get("database_engine_callback")
    found = load(given, "database_engine_callback") if isinstance(given, str) else given
    if found is not None and not callable(found):
        raise ImproperlyConfigured(f"database_engine_callback: expected a function of an engine, got {given!r}")
    return found


def _words(settings: Mapping[str, Any], name: str) -> dict[str, str]:
    given = dict(settings.get(name) or {})
    strange = sorted(given.keys() - {"task", "group"})
    if strange or not all(isinstance(word, str) for word in given.values() if word is not None):
        raise ImproperlyConfigured(f"{name}: expected names of 'task' and 'group', got {given!r}")
    return given


def _without_a_pool(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if not name.startswith("pool") and name not in _OF_A_POOL}


def _driver(url: sa.URL) -> str:
    try:
        return url.get_driver_name()
    except exc.NoSuchModuleError:
        return ""


def _is_in_memory(url: sa.URL) -> bool:
    return url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:")


def _shown(url: sa.URL) -> str:
    """Secrets masked, a file by its absolute path."""
    if url.get_backend_name() == "sqlite" and not _is_in_memory(url) and not str(url.database).startswith("file:"):
        url = url.set(database=str(Path(str(url.database)).absolute()))
    return mask_url(f"db+{url.render_as_string(hide_password=False)}")
