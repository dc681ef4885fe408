"""SQL stores for tests, one on each kind of database that is there."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from celery_rs.backends.opening import Opening
from celery_rs.backends.sql import SqlBackend, open_store
from celery_rs.wire import TaskResult, encode_meta
from tests import sql_servers

KINDS = ["sqlite", *sql_servers.SERVERS]

Open = Callable[..., SqlBackend]


def record(task_id: str, state: str = "SUCCESS", attempt: int = 0, result: object = None, **more: Any) -> TaskResult:
    return TaskResult(task_id, state, attempt, encode_meta(task_id, state, result, now=0.0, **more))


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A place that no other test uses, of one kind after the other."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/results.db"
        return
    if not sql_servers.there(request.param):
        pytest.skip(f"no {request.param}: run `make test`")
    with sql_servers.fresh_database(request.param) as url:
        yield url


@pytest.fixture
def open_sql(url: str) -> Iterator[Open]:
    """Opens a store there, as another process does, with these settings."""
    with ExitStack() as opened:

        def open_sql(expires: float | None = 86_400.0, **settings: Any) -> SqlBackend:
            store = open_store(Opening(f"db+{url}", {}, settings, expires))
            opened.callback(store.close)
            return store

        yield open_sql


@pytest.fixture
def store(open_sql: Open) -> SqlBackend:
    return open_sql()
