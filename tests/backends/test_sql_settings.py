"""Settings of results in a SQL database."""

import importlib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from celery_rs.backends.sql import SqlBackend
from celery_rs.errors import ImproperlyConfigured
from celery_rs.wire import TaskResult, encode_meta
from tests import sql_servers
from tests.apps import make_app
from tests.deadlines import DEADLINE_S

SUCCESS = TaskResult("a", "SUCCESS", 0, encode_meta("a", "SUCCESS", None, now=0.0))


@contextmanager
def opened(url: str, **settings: Any) -> Iterator[SqlBackend]:
    """The store of an app with these settings."""
    app = make_app(result_backend=url, **settings)
    with closing(app):
        backend = app.backend
        assert isinstance(backend, SqlBackend)
        yield backend


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/results.db"


@pytest.fixture
def postgresql() -> Iterator[str]:
    if not sql_servers.there("postgresql"):
        pytest.skip("no PostgreSQL: run `make test`")
    with sql_servers.fresh_database("postgresql") as url:
        yield url


def tables(url: str) -> set[str]:
    engine = sa.create_engine(url)
    with closing(engine.connect()) as connection:
        found = set(sa.inspect(connection).get_table_names())
    engine.dispose()
    return found


def test_database_url_is_where_the_store_database_is(url: str) -> None:
    with opened("database", database_url=url) as backend:
        backend.store([SUCCESS])

    with opened(f"db+{url}") as other:
        assert other.fetch(["a"]) == {"a": SUCCESS}


def test_the_store_database_needs_its_url() -> None:
    with pytest.raises(ImproperlyConfigured, match="database_url"), opened("database"):
        pass


def test_database_engine_options_are_arguments_of_create_engine(url: str) -> None:
    options = {"pool_size": 3, "connect_args": {"timeout": 1}}

    with opened(f"db+{url}", database_engine_options=options) as backend:
        backend.store([SUCCESS])

        assert isinstance(backend.database.engine.pool, sa.pool.QueuePool)
        assert backend.database.engine.pool.size() == 3


@pytest.mark.parametrize("options", [{"pool_sise": 3}, {"connect_args": 7}])
def test_engine_options_that_make_no_sense_are_refused_in_one_line(url: str, options: dict[str, Any]) -> None:
    with (
        pytest.raises(ImproperlyConfigured, match="database_engine_options") as caught,
        opened(f"db+{url}", database_engine_options=options),
    ):
        pass

    assert "\n" not in str(caught.value)


def test_database_engine_callback_is_called_with_the_engine(url: str) -> None:
    engines: list[sa.Engine] = []

    with opened(f"db+{url}", database_engine_callback=engines.append) as backend:
        backend.store([SUCCESS])

        assert engines[-1] is backend.database.engine


def test_an_engine_callback_may_be_named_by_its_import_path(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "engines_seen.py").write_text("seen = []\nremember = seen.append\n")
    monkeypatch.syspath_prepend(tmp_path)

    with opened(f"db+{url}", database_engine_callback="engines_seen.remember") as backend:
        backend.fetch(["a"])

        assert importlib.import_module("engines_seen").seen[-1] is backend.database.engine


def test_an_engine_callback_that_cannot_be_called_is_refused(url: str) -> None:
    with (
        pytest.raises(ImproperlyConfigured, match=r"database_engine_callback.*7"),
        opened(f"db+{url}", database_engine_callback=7),
    ):
        pass


def test_an_engine_callback_that_is_not_there_is_named_with_its_setting(url: str) -> None:
    with (
        pytest.raises(ImproperlyConfigured, match=r"database_engine_callback 'nowhere:login' cannot be loaded"),
        opened(f"db+{url}", database_engine_callback="nowhere:login"),
    ):
        pass


@pytest.mark.parametrize("short", [True, False])
def test_database_short_lived_sessions_keep_no_connection(url: str, short: bool) -> None:
    connected: list[object] = []

    def count(engine: sa.Engine) -> None:
        sa.event.listen(engine, "connect", lambda *connection: connected.append(connection))

    with opened(
        f"db+{url}", database_short_lived_sessions=short, database_engine_callback=count,
        database_create_tables_at_setup=False,
    ) as backend:  # fmt: skip
        backend.store([SUCCESS])
        before = len(connected)
        backend.fetch(["a"])
        backend.fetch(["a"])

        assert len(connected) - before == (2 if short else 0)


def test_database_table_names_name_the_tables(url: str) -> None:
    names = {"task": "myapp_taskmeta", "group": "myapp_groupmeta"}

    with opened(f"db+{url}", database_table_names=names) as backend:
        backend.store([SUCCESS])

    assert tables(url) - {"sqlite_sequence"} == {"myapp_taskmeta", "myapp_groupmeta"}


def test_database_table_schemas_are_where_the_tables_are(postgresql: str) -> None:
    with sql_servers.fresh_database("postgresql") as elsewhere:
        schema = str(sa.make_url(elsewhere).query["options"]).partition("=")[2]
        schemas = {"task": schema, "group": schema}

        with opened(f"db+{postgresql}", database_table_schemas=schemas) as backend:
            backend.store([SUCCESS])
            backend.open_chord("g", 2)

            assert backend.fetch(["a"]) == {"a": SUCCESS}
        assert tables(postgresql) == set()
        assert tables(elsewhere) >= {"celery_taskmeta", "celery_tasksetmeta"}


@pytest.mark.parametrize("setting", ["database_table_names", "database_table_schemas"])
def test_a_table_that_there_is_not_is_refused(url: str, setting: str) -> None:
    with (
        pytest.raises(ImproperlyConfigured, match=f"{setting}.*'tasks'"),
        opened(f"db+{url}", **{setting: {"tasks": "t"}}),
    ):
        pass


@pytest.mark.parametrize("at_setup", [True, False])
def test_database_create_tables_at_setup_lets_readers_make_them(url: str, at_setup: bool) -> None:
    with opened(f"db+{url}", database_create_tables_at_setup=at_setup) as backend:
        assert backend.fetch(["a"]) == {}
        assert backend.fetch_group("g") is None
        assert ("celery_taskmeta" in tables(url)) == at_setup

        backend.store([SUCCESS])
        assert backend.fetch(["a"]) == {"a": SUCCESS}


def test_opening_a_store_connects_to_nothing(tmp_path: Path) -> None:
    with opened(f"db+sqlite:///{tmp_path}/results.db") as backend:
        assert backend.describe()

        assert not (tmp_path / "results.db").exists()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("db+nonsense", "database_url|URL"),
        ("db+nonsense://scott:tiger@host/x", "nonsense"),
        ("db+postgresql://scott:tiger@host:abc/x", "expected a URL of SQLAlchemy.*host:abc"),
        ("db+oracle://scott:tiger@host/x", "pip install"),
        ("db+mysql+mysqldb://scott:tiger@host/x", "needs the module 'MySQLdb'; pip install 'mysqlclient'"),
    ],
)
def test_a_url_that_makes_no_sense_is_refused_in_one_line(url: str, says: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=says) as caught, opened(url):
        pass

    assert "tiger" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_store_shows_a_file_by_its_absolute_path_and_no_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with opened("db+sqlite:///results.db") as backend:
        assert backend.describe() == f"db+sqlite:///{tmp_path}/results.db"
    with opened("db+postgresql+psycopg://scott:tiger@127.0.0.1:1/x") as backend:
        assert backend.describe() == "db+postgresql+psycopg://scott:********@127.0.0.1:1/x"


def test_a_database_in_memory_is_for_one_process_and_all_its_threads() -> None:
    with opened("db+sqlite://") as backend:
        backend.store([SUCCESS])

        assert backend.fetch(["a"]) == {"a": SUCCESS}


def test_what_is_missing_is_named_with_the_line_that_installs_it() -> None:
    code = """
import sys
sys.modules["sqlalchemy"] = None
from celery_rs import Celery
try:
    Celery(backend="db+sqlite://").backend
except Exception as error:
    print(error)
"""
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=DEADLINE_S, check=True
    ).stdout

    assert said == ("the result store db+...:// needs the module 'sqlalchemy'; pip install 'celery-rs[sqlalchemy]'\n")
