"""Results in SQL databases, beside real Celery: what either side has stored, the other reads."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import sql_servers
from tests.interop.celery_side import CeleryProject, OurProject, Project
from tests.interop.stored import CLIENT as ON_REDIS
from tests.interop.stored import MODULE, RESTORER, SAVER

# A row of Celery's has no place for the group.
CLIENT = ON_REDIS.replace('app.backend.get_task_meta(in_group.id)["group_id"]', '"g"')

SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "extended, tables of other names": {
        "result_extended": True,
        "database_table_names": {"task": "mine", "group": "ours"},
    },
    "pickle": {"result_serializer": "pickle", "result_accept_content": ["pickle", "json"]},
    "yaml": {"result_serializer": "yaml", "result_accept_content": ["yaml", "json"]},
    "msgpack": {"result_serializer": "msgpack", "result_accept_content": ["msgpack", "json"]},
}
DRIVERS = {"postgresql": ("psycopg", "psycopg2"), "mariadb": ("pymysql", "pymysql")}
"""Ours, and Celery's."""

pytestmark = pytest.mark.parametrize("broker", ["redis"], indirect=True)


class Urls:
    """One place, as each side opens it."""

    def __init__(self, ours: str, theirs: str) -> None:
        self._ours, self._theirs = ours, theirs

    def of(self, side: type[Project]) -> str:
        return self._ours if side is OurProject else self._theirs


@pytest.fixture
def urls(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Urls]:
    server = request.param
    if server == "sqlite":
        yield Urls(*[f"db+sqlite:///{tmp_path}/results.db"] * 2)
        return
    if not sql_servers.there(server):
        pytest.skip(f"no {server}: run `make test`")
    with sql_servers.fresh_database(server) as url:
        yield Urls(*(f"db+{sql_servers.by_driver(url, driver)}" for driver in DRIVERS[server]))


def other(side: type[Project]) -> type[Project]:
    return OurProject if side is CeleryProject else CeleryProject


CASES = pytest.mark.parametrize(
    ("urls", "settings"),
    [
        *(pytest.param("sqlite", settings, id=f"sqlite-{name}") for name, settings in SETTINGS.items()),
        *(
            pytest.param(server, SETTINGS[name], id=f"{server}-{name}")
            for server in DRIVERS
            for name in ("extended, tables of other names", "pickle")
        ),
    ],
    indirect=["urls"],
)


@CASES
@pytest.mark.parametrize("writes", [CeleryProject, OurProject])
def test_what_one_has_stored_the_other_reads(
    writes: type[Project],
    urls: Urls,
    settings: dict[str, Any],
    broker: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reads = other(writes)
    with (
        writes(tmp_path / "writes", broker, {"result_backend": urls.of(writes), **settings}, MODULE) as worker,
        reads(tmp_path / "reads", broker, {"result_backend": urls.of(reads), **settings}, MODULE) as client,
    ):
        monkeypatch.setenv("WORKER", str(worker.folder))
        worker.worker("-c", "1")
        said = client.python(CLIENT)

    assert said["halfway"] == ["PROGRESS", {"done": 3}]
    assert said["value"] == 42
    assert said["raised"] == ["boom", 1]
    assert said["success"] == ["SUCCESS", 42, []]
    assert said["failure"] == ["FAILURE", ["ValueError", ["boom", "1"]], []]
    assert said["traceback"].startswith("Traceback (most recent call last):\n")
    assert said["traceback"].rstrip().endswith("ValueError: ('boom', 1)")
    assert said["expired"] == ["REVOKED", ["TaskRevokedError", ["expired"]], []]
    assert said["retried"] == ["RETRY", ["KeyError", ["k"]]]
    assert said["ignored"] == "PENDING"
    assert said["children"]
    if settings.get("result_extended"):
        name, args, kwargs, retries, queue = said["extended"]
        assert [name, list(args), kwargs, retries, queue] == ["proj.add", [20, 22], {}, 0, "celery"]


@CASES
@pytest.mark.parametrize("saves", [CeleryProject, OurProject])
def test_a_group_that_one_has_saved_the_other_restores(
    saves: type[Project], urls: Urls, settings: dict[str, Any], broker: str, tmp_path: Path
) -> None:
    restores = other(saves)
    key = f"KEY = {tmp_path.name!r}\n"
    with (
        saves(tmp_path / "saves", broker, {"result_backend": urls.of(saves), **settings}, MODULE) as saver,
        restores(tmp_path / "restores", broker, {"result_backend": urls.of(restores), **settings}, MODULE) as restorer,
    ):
        saver.worker("-c", "1")
        saver.python(key + SAVER.replace("{package}", saver.package))
        said = restorer.python(key + RESTORER.replace("{package}", restorer.package))

    assert said == [f"outer-{tmp_path.name}", "up", [1, 2, [3]], f"inner-{tmp_path.name}", None]
